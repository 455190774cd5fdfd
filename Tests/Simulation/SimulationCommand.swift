import FoundationEssentials
import Glibc
import Model
import Reactor
import Synchronization

/// `qnode-sim`: runs worlds, one after another. `--seeds N --from S --step K`, or `--seed S [--trace]`;
/// `--defect NAME` plants one that has to be found.
package enum SimulationCommand {
    package static func main() {
        // Sets and dictionaries are iterated in an order that depends on this.
        guard getenv("SWIFT_DETERMINISTIC_HASHING") != nil else { again() }
        var options = Options()
        do { options = try Options(CommandLine.arguments.dropFirst()) } catch {
            print("qnode-sim: \(error)")
            exit(2)
        }
        let root = "\(options.place ?? memory())/qnode-sim-\(getpid())"
        announceTraps()
        var total = Total()
        let began = SystemClock.monotonic()
        for count in 0..<options.seeds {
            let seed = options.from + UInt64(count) * options.step
            Mark.seed.store(seed, ordering: .relaxed)
            let outcome = run(seed, root, options)
            total.add(outcome)
            if options.seeds == 1 || options.saysHashes {
                print("seed \(seed): hash \(String(outcome.hash, radix: 16)), \(outcome.jobs) jobs")
            }
            guard let failure = outcome.failure else { continue }
            print("FAILED seed \(seed): \(failure)")
            print("  again: Deploy/simulate --seed \(seed)")
            total.failures += 1
            if total.failures >= options.failures { break }
        }
        print(total.text(began.duration(to: SystemClock.monotonic())))
        exit(total.failures == 0 ? 0 : 1)
    }

    private static func run(_ seed: UInt64, _ root: String, _ options: Options) -> World.Outcome {
        do {
            let trace = Trace(write: options.isTraced ? { print($0) } : nil)
            return try World(seed: seed, root: root, defect: options.defect, trace: trace).run()
        } catch {
            print("qnode-sim: \(error)")
            exit(2)
        }
    }

    private static func memory() -> String {
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : FileManager.default.temporaryDirectory.path
    }

    private static func again() -> Never {
        setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
        perror("qnode-sim")
        exit(2)
    }

    /// A trap in a world says which one it was.
    private static func announceTraps() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(number) { number in
                var text: [UInt8] = []
                text.append(contentsOf: "FAILED seed ".utf8)
                text.append(contentsOf: "\(Mark.seed.load(ordering: .relaxed)): the program was trapped\n".utf8)
                _ = text.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }

    private enum Mark {
        static let seed = Atomic<UInt64>(0)
    }

    private struct Options {
        var seeds = 1
        var from: UInt64 = 1
        var step: UInt64 = 1
        var failures = 1
        var isTraced = false
        var saysHashes = false
        /// Where its directories are made.
        var place: String?
        var defect: Defect?

        init() {}

        init(_ arguments: some Sequence<String>) throws(Complaint) {
            var rest = arguments.makeIterator()
            while let option = rest.next() {
                switch option {
                case "--seed": from = UInt64(try Self.number(option, rest.next()))
                case "--seeds": seeds = try Self.number(option, rest.next())
                case "--from": from = UInt64(try Self.number(option, rest.next()))
                case "--step": step = UInt64(try Self.number(option, rest.next()))
                case "--failures": failures = try Self.number(option, rest.next())
                case "--trace": isTraced = true
                case "--in": place = rest.next()
                case "--hashes": saysHashes = true
                case "--defect": defect = rest.next().flatMap { Defect(rawValue: $0) }
                default: throw Complaint(description: "\(option) is no option")
                }
            }
        }

        private static func number(_ option: String, _ text: String?) throws(Complaint) -> Int {
            guard let text, let number = Int(text), number >= 0 else {
                throw Complaint(description: "\(option) wants a number")
            }
            return number
        }
    }

    private struct Complaint: Error, CustomStringConvertible { let description: String }

    private struct Total {
        var worlds = 0
        var failures = 0
        var figures = Figures()
        var catchUps: [Duration] = []
        var stalls: [Duration] = []
        var time = Duration.zero

        mutating func add(_ outcome: World.Outcome) {
            worlds += 1
            let one = outcome.figures
            figures.chunks += one.chunks
            figures.requests += one.requests
            figures.mishaps += one.mishaps
            figures.starts += one.starts
            figures.carried += one.carried
            figures.needed += one.needed
            catchUps.append(one.catchUp)
            stalls.append(one.stall)
            time += outcome.time
        }

        func text(_ took: Duration) -> String {
            func quantiles(_ values: [Duration]) -> String {
                let sorted = values.sorted()
                guard let last = sorted.last else { return "" }
                let middle = sorted[sorted.count / 2].inSeconds
                let most = sorted[sorted.count * 99 / 100].inSeconds
                return "median \(Int(middle)) s, 99 % \(Int(most)) s, longest \(Int(last.inSeconds)) s"
            }
            let seconds = "\(Int(took.inSeconds.rounded())) s"
            return """
                \(worlds) worlds in \(seconds), \(failures) failed; \(Int(time.inSeconds)) s of their own time, \
                \(figures.starts) starts, \(figures.mishaps) mishaps, \(figures.chunks) seals, \
                \(figures.requests) requests for chunks, \(Magnitude.bytes(figures.carried)) carried for \
                \(Magnitude.bytes(figures.needed)) that are held beyond their author
                everything everywhere: \(quantiles(catchUps)); nothing moving: \(quantiles(stalls))
                """
        }
    }
}
