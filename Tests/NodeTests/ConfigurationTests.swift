import Model
import Reactor
import Storage
import Testing

@testable import Node

/// A process that has what a test gives it.
func surroundings(
    _ environment: [String: String] = [:], userID: UInt32 = 1000, files: [String: String] = [:]
) -> Surroundings {
    var environment = environment
    if environment["HOME"] == nil { environment["HOME"] = "/h/a" }
    return Surroundings(
        environment: environment, userID: userID, workingDirectory: "/some dir", hostName: "boat"
    ) { path throws(ValueError) in
        guard let text = files[path] else { throw ValueError("there is no such file") }
        return Array(text.utf8)
    }
}

func configuration(
    _ arguments: [String], _ environment: [String: String] = [:], userID: UInt32 = 1000, files: [String: String] = [:]
) throws -> NodeConfiguration {
    let around = surroundings(environment, userID: userID, files: files)
    guard case .run(let configuration) = try Invocation(arguments: arguments, surroundings: around) else {
        throw ValueError("not a node")
    }
    return configuration
}

/// The sentence that a command line is refused with.
func refusal(
    _ arguments: [String], _ environment: [String: String] = [:], files: [String: String] = [:]
) throws -> String {
    let around = surroundings(environment, files: files)
    let error = #expect(throws: UsageError.self) { try Invocation(arguments: arguments, surroundings: around) }
    let text = try #require(error).description
    #expect(isOneSentence(text), "\(text)")
    return text
}

@Suite struct ConfigurationTests {
    @Test("a vehicle records what it finds, and a topside fetches everything")
    func roles() throws {
        let vehicle = try configuration(["--role", "vehicle"])
        #expect(vehicle.instrument == .qSeries(.auto(baud: nil), sensor: .passive))
        #expect(vehicle.record)
        #expect(vehicle.pull == .none)
        let topside = try configuration(["--role", "topside"])
        #expect(topside.instrument == .none)
        #expect(!topside.record)
        #expect(topside.pull == .all)
    }

    @Test("the defaults are those of the help")
    func defaults() throws {
        let node = try configuration(["--role=vehicle"])
        #expect(node.listen == Endpoint(host: "::", port: 9150))
        #expect(!node.listenIsExplicit)
        #expect(node.name == "boat")
        #expect(node.chunkInterval == .seconds(60))
        #expect(node.chunkBytes == 5_000_000)
        #expect(node.minFree == 100_000_000)
        #expect(node.commitInterval == .milliseconds(200))
        #expect(node.format == .csv)
        #expect(node.discovery == .auto)
        #expect(node.view == .link)
        #expect(node.logLevel == .info)
        #expect(node.peers.isEmpty && node.interfaces.isEmpty)
        #expect(node.mission == "unnamed")
        #expect(node.sensorID == nil)
    }

    @Test("every default of the table is a value that its own setting takes")
    func tableIsSound() throws {
        for setting in Settings.all {
            for role in [nil, Role.vehicle, .topside] {
                if let text = setting.defaultValue.text(for: role) { try setting.check(text) }
            }
        }
        #expect(Set(Settings.all.map(\.name)).count == Settings.all.count)
    }

    @Test("a role is needed, and only one there is")
    func role() throws {
        #expect(try refusal(["--data", "/x"]) == "say what this node is set up for: --role vehicle or --role topside")
        #expect(
            try refusal(["--role", "vehcle"])
                == #"option --role: "vehcle" is none of vehicle, topside; did you mean vehicle?"#)
        #expect(try configuration([], ["QNODE_ROLE": "topside"]).role == .topside)
    }

    @Test("sources from weak to strong: default, older environment, file, environment, option")
    func strength() throws {
        let files = ["/f": "serial = /dev/file\nlisten = [::]:3\ndata = /file"]
        let older = ["CHUNK_RECORDING_PATH": "/older", "SERIAL_PORT": "/dev/older", "API_PORT": "2"]
        let arguments = ["--role", "vehicle"]
        func node(_ more: [String], _ environment: [String: String]) throws -> NodeConfiguration {
            try configuration(arguments + more, environment, files: files)
        }
        let byOlder = try node([], older)
        #expect(byOlder.data == "/older")
        #expect(byOlder.listen == Endpoint(host: "::", port: 2))
        #expect(byOlder.instrument == .qSeries(.device(SerialDevice(path: "/dev/older")), sensor: .passive))
        let byFile = try node(["--config", "/f"], older)
        #expect(byFile.data == "/file")
        #expect(byFile.listen.port == 3)
        #expect(byFile.instrument == .qSeries(.device(SerialDevice(path: "/dev/file")), sensor: .passive))
        let variables = older.merging(["QNODE_CONFIG": "/f", "QNODE_DATA": "/env"]) { $1 }
        #expect(try node([], variables).data == "/env")
        #expect(try node(["--data", "/flag"], variables).data == "/flag")
    }

    @Test("the strongest source of a list gives all of it")
    func lists() throws {
        let files = ["/f": "peer = a:1\npeer = b:2"]
        let file = try configuration(["--role", "topside", "--config", "/f"], files: files)
        #expect(file.peers.map(\.description) == ["a:1", "b:2"])
        let environment = try configuration(["--role", "topside"], ["QNODE_PEER": "c:3, d:4,[fe80::1%eth0]:5"])
        #expect(environment.peers.map(\.description) == ["c:3", "d:4", "[fe80::1%eth0]:5"])
        let option = try configuration(
            ["--role", "topside", "--peer", "e", "--config", "/f"], ["QNODE_PEER": "c:3"], files: files)
        #expect(option.peers.map(\.description) == ["e:9150"])
    }

    @Test("the older variables for the serial line work together")
    func olderSerial() throws {
        func instrument(_ environment: [String: String], _ role: String = "vehicle") throws -> InstrumentChoice {
            try configuration(["--role", role], environment).instrument
        }
        #expect(
            try instrument(["SERIAL_PORT": "/dev/a", "SERIAL_BAUD": "19200"])
                == .qSeries(.device(SerialDevice(path: "/dev/a", baud: 19_200)), sensor: .passive))
        #expect(try instrument(["SERIAL_BAUD": "19200"]) == .qSeries(.auto(baud: 19_200), sensor: .passive))
        #expect(try instrument(["SERIAL_PORT": "", "SERIAL_BAUD": ""], "topside") == .none)
        let simulated = try configuration(["--role", "vehicle", "--simulate"], ["SERIAL_PORT": "/dev/a"])
        #expect(simulated.instrument == .qSeries(.simulated, sensor: .passive))
        #expect(
            try refusal(["--role", "vehicle"], ["SERIAL_BAUD": "fast"])
                == #"environment SERIAL_BAUD: "fast" is not a baud rate; write for example 9600 or 115200"#)
        #expect(
            try refusal(["--role", "vehicle"], ["API_PORT": "70000"])
                == #"environment API_PORT: "70000" is not a port; write for example 9150"#)
    }

    @Test("the data directory: option, variable, root's, XDG's, home's")
    func dataDirectory() throws {
        let vehicle = ["--role", "vehicle"]
        #expect(try configuration(vehicle).data == "/h/a/.local/share/qnode")
        #expect(try configuration(vehicle, userID: 0).data == "/var/lib/qnode")
        #expect(try configuration(vehicle, ["XDG_DATA_HOME": "/xdg"]).data == "/xdg/qnode")
        #expect(try configuration(vehicle, ["XDG_DATA_HOME": "xdg"]).data == "/h/a/.local/share/qnode")
        #expect(try configuration(vehicle, ["QNODE_DATA": "/q"], userID: 0).data == "/q")
        #expect(try configuration(vehicle + ["--data", "here"]).data == "/some dir/here")
        #expect(try configuration(vehicle + ["--data", "/d"]).identity == "/d/identity")
        #expect(try configuration(vehicle + ["--data", "/d", "--identity", "./k"]).identity == "/some dir/k")
        #expect(try refusal(vehicle, ["HOME": "x"]).contains("--data DIR"))
    }

    @Test("an error says where the value came from")
    func origins() throws {
        let vehicle = ["--role", "vehicle"]
        #expect(
            try refusal(vehicle, ["QNODE_CHUNK_SIZE": "fast"])
                == #"environment QNODE_CHUNK_SIZE: "fast" is not a size; write for example 5MB or 512KiB"#)
        #expect(
            try refusal(vehicle + ["--chunk-interval", "2h"]).hasPrefix(
                #"option --chunk-interval: "2h" is outside 1s to 1h: "#))
        #expect(
            try refusal(vehicle + ["--config", "/f"], files: ["/f": "# a\n\nrecord = maybe"])
                == #"/f line 3: "maybe" is neither on nor off"#)
        #expect(
            try refusal(vehicle, ["QNODE_CHUNK_INTERVL": "1s"])
                == #"environment "QNODE_CHUNK_INTERVL": there is no such setting; did you mean QNODE_CHUNK_INTERVAL?"#)
    }

    @Test("an unreadable file is a failure, not wrong usage")
    func missingFile() throws {
        let around = surroundings(["QNODE_CONFIG": "f.conf"])
        let error = #expect(throws: UsageError.self) {
            try Invocation(arguments: ["--role", "vehicle"], surroundings: around)
        }
        #expect(error?.exitCode == 1)
        #expect(error?.description == "cannot read /some dir/f.conf (environment QNODE_CONFIG): there is no such file")
    }

    @Test("an empty variable counts as not set")
    func emptyVariable() throws {
        #expect(try configuration(["--role", "vehicle"], ["QNODE_MISSION": "", "API_PORT": ""]).mission == "unnamed")
    }

    @Test(
        "settings of features that do not exist are unknown",
        arguments: ["pair", "lan-access", "allow-origin"])
    func notYet(_ name: String) throws {
        #expect(try refusal(["--role", "vehicle", "--\(name)", "off"]).hasPrefix("unknown option --\(name)"))
    }
}
