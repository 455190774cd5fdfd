import FoundationEssentials
import Model
import Reactor

/// Something wrong that is done to a world on purpose: whoever judges it has to say so.
enum Defect: String, CaseIterable {
    /// A chunk's file goes, and nobody is told.
    case gone
    /// A byte of a held chunk changes.
    case altered
    /// A node is told of holdings that no peer has.
    case lie
    /// From some moment on one node hears from nobody, though its links stand.
    case deaf
}

extension World {
    /// Before everything has come to everybody.
    func plantEarly() {
        guard defect == .deaf, let node = nodes.last else { return }
        for other in nodes where other !== node { network.path(node.number, other.number).weather.vanishing = 1 }
    }

    /// After that, before it is examined.
    func plantLate() {
        guard let victim = oracle.transfers.first(where: { $0.isWhole && $0.link.client.isServing }) else { return }
        let path = victim.link.client.node.file(of: victim.id)
        do {
            switch defect {
            case .gone: try FileManager.default.removeItem(atPath: path)
            case .altered:
                try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
                let folder = try Directory.open(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)))
                let file = try folder.openFile(victim.id.description, .readWrite)
                try file.write([try file.read(count: 1, at: 0)[0] ^ 1], at: 0)
            case .lie, .deaf, nil: break
            }
        } catch {
            sim.fail("\(error)")
        }
    }
}
