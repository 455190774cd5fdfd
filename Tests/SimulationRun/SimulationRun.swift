import Simulation

@main struct SimulationRun {
    static func main() { SimulationCommand.main() }
}
