import Model
import Testing

@testable import Node

@Suite struct ConfigurationValueTests {
    @Test(
        "good values are taken",
        arguments: [
            "--listen=127.0.0.1:0", "--listen=[::1]:9150", "--listen=[fe80::1%eth0]:80", "--listen=[::ffff:10.0.0.1]:1",
            "--peer=vehicle.local", "--peer=10.0.0.2:9150", "--peer=[2001:db8::1]", "--name=Boot 7 — Süd",
            "--mission=潜水 #3",
            "--interface=eth0.100", "--interface=wlx00c0ca", "--chunk-interval=1", "--chunk-interval=1h",
            "--chunk-size=1KiB",
            "--chunk-size=512MiB", "--min-free=10MB", "--min-free=1TB", "--commit-interval=0", "--commit-interval=10s",
            "--record", "--record=off",
            "--mdns=embedded",
            "--pull=none", "--pull=Dive 7", "--view=copy", "--log-level=debug", "--format=jsonl",
        ])
    func good(_ argument: String) throws { _ = try configuration(["--role", "topside", argument]) }

    @Test(
        "bad values are refused in one sentence that names the option",
        arguments: [
            "--listen=", "--listen=9150", "--listen=:9150", "--listen=localhost:9150", "--listen=1.2.3:9150",
            "--listen=1.2.3.04:9150", "--listen=[::]", "--listen=::1:9150", "--listen=[::1]:65536", "--listen=[::1]:-1",
            "--listen=[:::]:1", "--listen=[1:2:3:4:5:6:7:8:9]:1", "--listen=[1::2::3]:1", "--listen=[12345::]:1",
            "--listen=[1.2.3.4::1]:1", "--listen=[::%]:1", "--listen=[::1]:+1", "--listen=[::1]:９",
            "--peer=", "--peer=:1", "--peer=a:0", "--peer=a:b", "--peer=a b:1", "--peer=a:1:2", "--peer=a:1/x",
            "--peer=http://a:1",
            "--name=", "--name=a\nb", "--name= ", "--name=" + String(repeating: "n", count: 64),
            "--mission=", "--mission=a\u{0}b", "--mission=\u{2028}", "--mission=" + String(repeating: "é", count: 41),
            "--interface=", "--interface=..", "--interface=a/b", "--interface=a b", "--interface=eth0:1",
            "--interface=" + String(repeating: "e", count: 16),
            "--chunk-interval=0", "--chunk-interval=0.9s", "--chunk-interval=3601s", "--chunk-interval=-1s",
            "--min-free=9.9MB", "--min-free=2TB", "--min-free=10%", "--chunk-size=1023", "--chunk-size=1025MiB",
            "--chunk-size=9223372036854775807",
            "--chunk-size=9223372036854775808",
            "--commit-interval=10.001s", "--commit-interval=-0", "--record=yes", "--record=ON", "--mdns=none",
            "--pull=",
            "--view=hard", "--log-level=trace", "--format=parquet", "--data=", "--data=a\u{0}b", "--identity=",
            "--source=nmea",
        ])
    func bad(_ argument: String) throws {
        let name = argument.prefix { $0 != "=" }
        #expect(try refusal(["--role", "topside", argument]).hasPrefix("option \(name): "))
    }

    @Test("a host name that is no good name for a node is replaced")
    func hostName() throws {
        var around = surroundings()
        around.hostName = String(repeating: "h", count: 64)
        guard case .run(let node) = try Invocation(arguments: ["--role", "topside"], surroundings: around) else {
            Issue.record("not a node")
            return
        }
        #expect(node.name == "qnode")
    }

    @Test("values of hostile text never reach a terminal raw")
    func noControlCharacters() throws {
        for option in Settings.all.map(\.option) where option.argument != .none {
            let error = #expect(throws: UsageError.self) {
                let around = surroundings()
                _ = try Invocation(
                    arguments: ["--role", "vehicle", "--\(option.name)=\u{1B}]0;\u{7}\u{9B}"], surroundings: around)
                // A path may hold anything but NUL; it is shown escaped where it is shown.
                if option.completion == .directories || option.name == "data" { throw UsageError("taken") }
            }
            #expect(
                error?.description.unicodeScalars.contains { $0.value < 32 || $0.value == 0x9B } == false,
                "\(option.name)")
        }
    }
}
