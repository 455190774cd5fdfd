internal import Node

@main
enum QNode {
    static func main() {}
}
