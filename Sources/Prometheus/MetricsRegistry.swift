package import CoreMetrics
import Synchronization

/// Holds a program's metrics, and writes them for Prometheus. Thread-safe.
///
/// Metrics that are counted come from swift-metrics. Values that something else knows are asked for at each scrape.
package final class MetricsRegistry: MetricsFactory {
    /// Adds values at a scrape.
    package typealias Collector = @Sendable (inout MetricSamples) -> Void

    private struct Entry {
        var family: MetricFamily
        var series: [(labels: String, series: any Series)] = []
    }

    private struct State {
        var entries: [String: Entry]
        var seriesCount = 0
        var collectors: [Collector] = []
    }

    /// There are never more series than this; further ones count nothing.
    private let maxSeries: Int
    private let state: Mutex<State>

    /// - Parameter families: The program's metrics. Others, of libraries, have no description.
    package init(_ families: [MetricFamily], maxSeries: Int = 2_000) {
        self.maxSeries = maxSeries
        let entries = Dictionary(families.map { ($0.name, Entry(family: $0)) }) { first, _ in first }
        state = Mutex(State(entries: entries))
    }

    /// Asks this collector at each scrape.
    package func collect(_ collector: @escaping Collector) {
        state.withLock { $0.collectors.append(collector) }
    }

    /// All metrics, in the text format.
    package var text: String {
        let (entries, collectors) = state.withLock { ($0.entries, $0.collectors) }
        var samples = MetricSamples()
        for collector in collectors { collector(&samples) }
        var text = MetricsText()
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
            text.begin(entry.family)
            for (labels, series) in entry.series { series.write(to: &text, entry.family, labels) }
            for (labels, value) in samples.values[name] ?? [] { text.add(name, labels, value) }
        }
        return text.text
    }

    // MARK: - swift-metrics

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter, CounterSeries.init) ?? NOOPMetricsHandler.instance
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge, GaugeSeries.init) ?? NOOPMetricsHandler.instance
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            return series(label, dimensions, .histogram, HistogramSeries.init) ?? NOOPMetricsHandler.instance
        }
        return series(label, dimensions, .gauge, GaugeSeries.init) ?? NOOPMetricsHandler.instance
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .histogram, HistogramSeries.init) ?? NOOPMetricsHandler.instance
    }

    // Series stay until the program ends.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    /// `nil` if there are too many, or if the metric is of another kind.
    private func series<Value: Series>(
        _ name: String,
        _ labels: MetricLabels,
        _ kind: MetricFamily.Kind,
        _ make: () -> Value
    ) -> Value? {
        let name = MetricsText.name(name)
        let labels = MetricsText.labels(labels)
        return state.withLock { state in
            var entry = state.entries[name] ?? Entry(family: MetricFamily(name, kind, ""))
            guard entry.family.kind == kind else { return nil }
            if let known = entry.series.first(where: { $0.labels == labels }) { return known.series as? Value }
            guard state.seriesCount < maxSeries else { return nil }
            let series = make()
            entry.series.append((labels, series))
            state.entries[name] = entry
            state.seriesCount += 1
            return series
        }
    }
}

/// The values that collectors know at a scrape.
package struct MetricSamples {
    fileprivate var values: [String: [(labels: String, value: String)]] = [:]

    package mutating func add(_ family: MetricFamily, _ value: Double, _ labels: MetricLabels = []) {
        values[family.name, default: []].append((MetricsText.labels(labels), MetricsText.number(value)))
    }

    package mutating func add(_ family: MetricFamily, _ value: Int, _ labels: MetricLabels = []) {
        values[family.name, default: []].append((MetricsText.labels(labels), "\(value)"))
    }
}
