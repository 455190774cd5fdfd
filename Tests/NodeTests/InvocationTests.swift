import Model
import Testing

@testable import Node

@Suite struct InvocationTests {
    private func invoke(_ arguments: String..., environment: [String: String] = [:]) throws -> Invocation {
        try Invocation(arguments: arguments, surroundings: surroundings(environment))
    }

    private let data = "/h/a/.local/share/qnode"

    @Test("nothing at all shows a short help and is wrong usage")
    func nothing() throws {
        guard case .usage(let text) = try invoke() else {
            Issue.record("not usage")
            return
        }
        #expect(text.hasPrefix("Usage: qnode --role vehicle|topside"))
        #expect(execute(.version(json: true)) == 0)
    }

    @Test("status names its node and may watch it")
    func status() throws {
        #expect(try invoke("status") == .status(StatusOptions(data: [data], json: false, watch: nil)))
        #expect(
            try invoke("status", "--watch", "--json", "--data", "/d")
                == .status(StatusOptions(data: ["/d"], json: true, watch: .seconds(1))))
        #expect(
            try invoke("status", "--watch=5s", environment: ["QNODE_DATA": "/e"])
                == .status(StatusOptions(data: ["/e"], json: false, watch: .seconds(5))))
        #expect(
            try invoke("--data", "/d", "status") == .status(StatusOptions(data: ["/d"], json: false, watch: nil)))
        #expect(try refusal(["status", "--watch=0"]).hasPrefix("option --watch: "))
        let waiting = try invoke("status", "--wait-synced", "--timeout", "60")
        #expect(
            waiting
                == .status(
                    StatusOptions(data: [data], json: false, watch: nil, waitsSynced: true, timeout: .seconds(60))))
        #expect(try refusal(["status", "--timeout", "5"]) == "option --timeout is for --wait-synced")
        #expect(try refusal(["status", "--wait-synced", "--watch"]).hasPrefix("--watch never ends"))
        #expect(try refusal(["status", "5s"]) == "unexpected argument \"5s\"; see qnode status --help")
    }

    @Test("a verb finds its node's data through the node's file of settings")
    func dataThroughFile() throws {
        let around = surroundings(["QNODE_CONFIG": "/f"], files: ["/f": "data = /from/file\nrole = vehicle"])
        #expect(
            try Invocation(arguments: ["peers"], surroundings: around)
                == .peers(FactsOptions(data: "/from/file", json: false)))
    }

    @Test("sessions are listed, narrowed or shown one by one")
    func sessions() throws {
        let id = try #require(SessionID("0d9f2b1c-7a52-4a53-9be5-6f3a1b0c7d11"))
        #expect(
            try invoke("sessions", "--mission", "dive")
                == .sessions(SessionsOptions(data: data, json: false, session: nil, mission: "dive")))
        #expect(
            try invoke("sessions", id.description, "--json")
                == .sessions(SessionsOptions(data: data, json: true, session: id, mission: nil)))
        #expect(
            try invoke("sessions", "close", id.description)
                == .sessions(SessionsOptions(data: data, json: false, session: id, mission: nil, closes: true)))
        #expect(try refusal(["sessions", "close"]) == "say which session; qnode sessions lists them")
        #expect(try refusal(["sessions", "close", id.description, "x"]).contains("unexpected argument"))
        #expect(try refusal(["sessions", "../etc"]) == #""../etc" is not a session's id; qnode sessions lists them"#)
    }

    @Test("a recording is started, stopped and marked")
    func record() throws {
        func record(_ action: RecordOptions.Action) -> Invocation {
            .record(RecordOptions(data: data, json: false, action: action))
        }
        #expect(try invoke("record", "start") == record(.start(mission: nil, chunkInterval: nil, metadata: [:])))
        #expect(
            try invoke("record", "start", "--mission=m", "--chunk-int", "5", "--metadata", "a=b=c", "--metadata=d=")
                == record(.start(mission: "m", chunkInterval: .seconds(5), metadata: ["a": "b=c", "d": ""])))
        #expect(try invoke("record", "stop") == record(.stop))
        #expect(try invoke("record", "marker", "at depth") == record(.marker(type: nil, text: "at depth")))
        #expect(try invoke("record", "marker", "--type", "START") == record(.marker(type: "START", text: nil)))
        #expect(try refusal(["record"]) == "record needs one of start, stop, marker; see qnode record --help")
        #expect(try refusal(["record", "strat"]) == #"unknown verb of record: "strat"; did you mean start?"#)
        #expect(try refusal(["record", "marker"]).hasPrefix("a marker needs a text or a --type"))
        #expect(try refusal(["record", "marker", "a\nb"]).hasPrefix("the marker's text: "))
        #expect(try refusal(["record", "start", "--metadata", "=b"]).contains("is not KEY=VALUE"))
        #expect(try refusal(["record", "start", "--metadata", "a=1", "--metadata", "a=2"]).contains("given twice"))
    }

    @Test("a pull takes everything or one mission, from some peers or all")
    func pull() throws {
        #expect(
            try invoke("pull")
                == .pull(
                    PullOptions(
                        data: data, json: false, peers: [], what: .all, timeout: nil,
                        cap: ByteRate(bytesPerSecond: 512_000))))
        #expect(
            try invoke("pull", "dive", "--from", "a:1", "--from", "b", "--timeout", "5m", "--cap", "off")
                == .pull(
                    PullOptions(
                        data: data, json: false,
                        peers: [Endpoint(host: "a", port: 1), Endpoint(host: "b", port: 9150)], what: .mission("dive"),
                        timeout: .seconds(300), cap: ByteRate(bytesPerSecond: nil))))
        #expect(try refusal(["pull", "none"]) == "qnode pull none would do nothing")
        #expect(try refusal(["pull", ""]).contains("must not be empty"))
    }

    @Test("a running node's caps are set, and what cannot be set says so in one sentence")
    func set() throws {
        #expect(
            try invoke("config", "set", "cap", "200KiB/s")
                == .set(
                    SetOptions(data: data, json: false, setting: "cap", cap: ByteRate(bytesPerSecond: 204_800))))
        #expect(
            try invoke("config", "set", "--json", "serve-cap", "off")
                == .set(
                    SetOptions(data: data, json: true, setting: "serve-cap", cap: ByteRate(bytesPerSecond: nil))))
        #expect(try refusal(["config", "set"]).hasPrefix("say what to set to what"))
        #expect(try refusal(["config", "set", "cap"]).hasPrefix("say what cap is to be"))
        #expect(try refusal(["config", "set", "mission", "x"]).hasPrefix("mission is read when a node starts"))
        #expect(try refusal(["config", "set", "capp", "x"]).hasPrefix("there is no setting \"capp\""))
        #expect(try refusal(["config", "set", "cap", "1MB/s", "2"]).hasPrefix("unexpected argument \"2\""))
        #expect(try refusal(["config", "set", "cap", "fast"]).hasPrefix("cap: \"fast\" is not a rate"))
        #expect(try refusal(["config", "--cap", "0B/s"]).hasPrefix("option --cap: a rate of 0 moves nothing"))
        #expect(try refusal(["config", "--cap", "5B/s"]).contains("is outside 1KB/s to 100GB/s"))
        #expect(try refusal(["config", "--serve-cap", "5MB"]).contains("is not a rate"))
    }

    @Test("a rate prints as the roundest text that reads back as the same")
    func rates() throws {
        let texts = ["500KiB/s", "200KB/s", "1MB/s", "1MiB/s", "1001B/s", "off", "1536KiB/s"]
        for text in texts {
            #expect(ByteRate(bytesPerSecond: try Quantity.rate(text)).description == text)
        }
    }

    @Test("the sensor's double takes what the sensor has")
    func simulate() throws {
        #expect(
            try invoke("simulate", "q-series")
                == .simulate(
                    SimulateOptions(
                        link: nil, baud: 9600, settings: SensorSettings(), speed: 1, seed: nil, faults: [], preamble: ""
                    )))
        #expect(
            try invoke(
                "simulate", "q-series", "--link", "s", "--baud", "115200", "--sensor-mode", "polled", "--speed", "100",
                "--seed", "18446744073709551615", "--fault", "reset", "--fault=hang", "--preamble", "$ME, ",
                "--averaging", "4", "--adc-rate", "8")
                == .simulate(
                    SimulateOptions(
                        link: "/some dir/s", baud: 115_200,
                        settings: SensorSettings(averaging: 4, adcRateHz: 8, mode: .polled(tag: "A")), speed: 100,
                        seed: .max, faults: [.reset, .hang], preamble: "$ME, ")))
        #expect(try refusal(["simulate", "q-series", "--fault", "hagn"]).hasSuffix("did you mean hang?"))
        #expect(try refusal(["simulate", "q-series", "--tag", "B"]).contains("means nothing"))
        #expect(try refusal(["simulate", "q-series", "--seed", "-1"]).hasPrefix("option --seed: "))
        #expect(try refusal(["simulate"]) == "simulate needs one of q-series; see qnode simulate --help")
    }

    @Test("verbs that only print facts", arguments: ["verify", "peers", "clock", "doctor"])
    func facts(_ verb: String) throws {
        let options = FactsOptions(data: "/d", json: true)
        let expected: [String: Invocation] = [
            "verify": .verify(options), "peers": .peers(options), "clock": .clock(options),
            "doctor": .doctor(DoctorOptions(data: "/d", json: true, minFree: 100_000_000)),
        ]
        #expect(try invoke(verb, "--json", "--data", "/d") == expected[verb])
    }

    @Test("doctor measures by what the node would keep free, wherever that is said")
    func doctor() throws {
        let expected = Invocation.doctor(DoctorOptions(data: "/d", json: false, minFree: 2_000_000_000))
        #expect(try invoke("doctor", "--data", "/d", "--min-free", "2GB") == expected)
        let around = surroundings(["QNODE_MIN_FREE": "2GB"])
        #expect(try Invocation(arguments: ["doctor", "--data", "/d"], surroundings: around) == expected)
    }

    @Test("the version is told from everywhere")
    func version() throws {
        #expect(try invoke("--version") == .version(json: false))
        #expect(try invoke("record", "start", "--version") == .version(json: false))
        #expect(try invoke("version", "--json") == .version(json: true))
    }

    @Test("every command of the table has a help that lists each of its options")
    func help() throws {
        for (path, command) in CommandLineCompletions.flattened(Commands.program) {
            let around = surroundings(["COLUMNS": "80"])
            guard case .help(let text) = try Invocation(arguments: path + ["--help"], surroundings: around) else {
                Issue.record("no help for \(path)")
                continue
            }
            for option in command.options { #expect(text.contains(option.synopsis), "\(path) \(option.name)") }
            for verb in command.verbs { #expect(text.contains("  \(verb.name)  "), "\(path) \(verb.name)") }
            for line in text.split(separator: "\n") { #expect(TerminalText.width(String(line)) <= 80, "\(line)") }
            #expect(!command.summary.hasSuffix("."))
            #expect(try Invocation(arguments: ["help"] + path, surroundings: around) == .help(text))
        }
        #expect(try refusal(["help", "sttus"]) == #"unknown verb "sttus"; did you mean status?"#)
    }

    @Test("completions are for shells that there are")
    func completions() throws {
        #expect(try invoke("completions", "zsh") == .completions(.zsh))
        #expect(try refusal(["completions"]) == "say for which shell: bash, zsh or fish")
        #expect(try refusal(["completions", "fis"]) == #""fis" is none of bash, zsh, fish; did you mean fish?"#)
    }

    @Test("config shows each setting and who chose it")
    func config() throws {
        let around = surroundings(
            ["QNODE_MISSION": "dive", "SERIAL_PORT": "/dev/a"], files: ["/f": "peer = a:1\npeer = b:2"])
        let invocation = try Invocation(
            arguments: ["config", "--config", "/f", "--role", "vehicle", "--name", "n\u{A0}x"], surroundings: around)
        guard case .config(let options) = invocation else {
            Issue.record("not config")
            return
        }
        func row(_ name: String) -> [String] {
            options.rows.filter { $0.name == name }.flatMap { $0.values + [$0.origin] }
        }
        #expect(row("mission") == ["dive", "environment QNODE_MISSION"])
        #expect(row("serial") == ["/dev/a", "environment SERIAL_PORT"])
        #expect(row("peer") == ["a:1", "b:2", "/f line 1"])
        #expect(row("role") == ["vehicle", "option --role"])
        #expect(row("record") == ["on", "default"])
        #expect(row("data") == [data, "default"])
        let text = options.text(style: .plain)
        #expect(text.split(separator: "\n").count == Settings.all.count + 1)
        #expect(text.contains("environment QNODE_MISSION"))
    }

    @Test("config works without a role, and refuses what a node would refuse")
    func configRefuses() throws {
        guard case .config(let options) = try invoke("config", "--json") else {
            Issue.record("not config")
            return
        }
        #expect(options.text(style: .plain).contains(#""data":{"origin":"default","values":["\#(data)"]}"#))
        #expect(try refusal(["config", "--chunk-size", "1"]).hasPrefix("option --chunk-size: "))
        #expect(try refusal(["config", "--role", "vehicle", "--tag", "A"]).contains("means nothing"))
    }
}
