import Model

/// Tells samples from all else that a Q-Series sensor prints. No line is a sample while the sensor is in its banner or
/// its menu.
struct QSeriesLineClassifier: Sendable {
    enum Context: Hashable, Sendable {
        case sampling
        /// `nearEnd`: only the line that ends it is missing.
        case banner(nearEnd: Bool)
        case menu
    }

    /// What a line did to the context.
    enum Transition: Hashable, Sendable {
        case bannerBegan
        /// With what the banner told.
        case samplingBegan(QSeriesConfiguration?)
        case menuBegan
    }

    struct Verdict: Sendable {
        let content: ReceivedLine.Content
        let transition: Transition?
        /// A sample whose temperature or voltage the converter cannot have given.
        var isOffLattice = false
    }

    private(set) var context = Context.sampling
    private var shapes = SampleShapePolicy()
    private var banner: QSeriesConfiguration?
    private var hasTitle = false
    private var lastForeignLine = MonotonicTime(nanoseconds: .min)
    /// The next line may have been joined midway.
    private var isJoining = false
    private let bannerEnd: Duration

    init(timings: QSeriesTimings) { bannerEnd = timings.bannerEnd }

    /// The stream begins anew, perhaps in the middle of a line.
    mutating func joined(midway: Bool) { isJoining = midway }

    /// The sensor was told to leave its menu and has had its time: with quiet mode on, samples come without a banner.
    mutating func assumeSampling() {
        context = .sampling
        banner = nil
    }

    /// The sensor's mode is known: its lines carry this tag, or none.
    mutating func expect(tag: Character?) { shapes.expect(tag: tag) }

    mutating func classify(_ line: LineFramer.Line, now: MonotonicTime) -> Verdict {
        let midway = isJoining
        isJoining = false
        let content = line.content
        let text = String(decoding: content, as: UTF8.self)
        if let known = QSeriesBanner.recognise(text) {
            lastForeignLine = now
            return foreign(known, text)
        }
        let sample: QSeriesSample
        do throws(LineRejection) {
            guard line.isWhole else { throw line.bytes.count >= Limits.lineBytes ? .overlong : .partial }
            sample = try QSeriesLineParser.parse(content)
            guard !midway else { throw .partial }
        } catch {
            return notASample(error, text, now: now)
        }
        return judge(sample, now: now)
    }

    private mutating func foreign(_ line: QSeriesBanner.Line, _ text: String) -> Verdict {
        shapes.interrupted()
        let before = context
        switch line {
        case .farewell:
            banner = nil
            context = .banner(nearEnd: true)
        case .start, .body, .almostEnd:
            if line == .start || banner == nil { banner = QSeriesConfiguration() }
            context = .banner(nearEnd: line == .almostEnd)
        case .end:
            context = .sampling
        case .menu:
            (context, banner) = (.menu, nil)
            return Verdict(content: .rejected(.menu), transition: before == .menu ? nil : .menuBegan)
        }
        if var told = banner {
            QSeriesBanner.read(text, into: &told)
            banner = told
        }
        if line == .end {
            defer { banner = nil }
            return Verdict(content: .rejected(.banner), transition: .samplingBegan(banner))
        }
        // A second title is a second reset.
        let began = if case .banner = before { line == .start && hasTitle } else { true }
        hasTitle = line == .start || (hasTitle && !began)
        return Verdict(content: .rejected(.banner), transition: began ? .bannerBegan : nil)
    }

    private mutating func notASample(_ rejection: LineRejection, _ text: String, now: MonotonicTime) -> Verdict {
        shapes.interrupted()
        switch context {
        case .sampling: return Verdict(content: .rejected(rejection), transition: nil)
        case .banner:
            lastForeignLine = now
            if var told = banner {
                QSeriesBanner.read(text, into: &told)
                banner = told
            }
            return Verdict(content: .rejected(.banner), transition: nil)
        case .menu:
            lastForeignLine = now
            return Verdict(content: .rejected(.menu), transition: nil)
        }
    }

    private mutating func judge(_ sample: QSeriesSample, now: MonotonicTime) -> Verdict {
        switch context {
        case .sampling:
            guard shapes.admits(sample.shape) else { return Verdict(content: .rejected(.shape), transition: nil) }
            return accepted(sample, transition: nil)
        case .banner(let nearEnd):
            guard nearEnd || hasEnded(now), shapes.admits(sample.shape) else {
                return Verdict(content: .rejected(.banner), transition: nil)
            }
        case .menu:
            guard hasEnded(now), shapes.admits(sample.shape) else {
                return Verdict(content: .rejected(.menu), transition: nil)
            }
        }
        let told = banner
        assumeSampling()
        return accepted(sample, transition: .samplingBegan(told))
    }

    private func hasEnded(_ now: MonotonicTime) -> Bool { lastForeignLine.advanced(by: bannerEnd) <= now }

    private func accepted(_ sample: QSeriesSample, transition: Transition?) -> Verdict {
        Verdict(
            content: .sample(sample), transition: transition, isOffLattice: !QSeriesLattice.contains(sample))
    }
}
