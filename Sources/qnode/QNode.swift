internal import Glibc
internal import Node

@main
enum QNode {
    static func main() {
        do throws(UsageError) {
            let arguments = Array(CommandLine.arguments.dropFirst())
            exit(execute(try Invocation(arguments: arguments, surroundings: .current())))
        } catch {
            complain("qnode: \(error)\n")
            exit(error.exitCode)
        }
    }
}
