import CoreMetrics
import Synchronization

// One series each. Whoever counts has the object, so that counting is an atomic addition.

/// A series that can be written.
protocol Series: AnyObject, Sendable {
    func write(to text: inout MetricsText, _ family: MetricFamily, _ labels: String)
}

final class CounterSeries: Series, CounterHandler {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() {
        value.store(0, ordering: .relaxed)
    }

    func write(to text: inout MetricsText, _ family: MetricFamily, _ labels: String) {
        let value = value.load(ordering: .relaxed)
        if value != 0 || !family.isSparse { text.add(family.name, labels, "\(value)") }
    }
}

final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    private let bits = Atomic<UInt64>(0)

    func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    func set(_ value: Int64) { set(Double(value)) }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    func increment(by amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, current) = bits.compareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = current
        }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func write(to text: inout MetricsText, _ family: MetricFamily, _ labels: String) {
        text.add(family.name, labels, MetricsText.number(Double(bitPattern: bits.load(ordering: .relaxed))))
    }
}

/// Durations, counted by their length. The buckets are the same for all.
final class HistogramSeries: Series, TimerHandler, RecorderHandler {
    /// The bounds of the buckets: as seconds in the text, in nanoseconds.
    private static let bounds: [(seconds: String, nanoseconds: Int64)] = [
        ("0.0001", 100_000), ("0.00025", 250_000), ("0.0005", 500_000),
        ("0.001", 1_000_000), ("0.0025", 2_500_000), ("0.005", 5_000_000),
        ("0.01", 10_000_000), ("0.025", 25_000_000), ("0.05", 50_000_000),
        ("0.1", 100_000_000), ("0.25", 250_000_000), ("0.5", 500_000_000),
        ("1.0", 1_000_000_000), ("2.5", 2_500_000_000), ("10.0", 10_000_000_000),
    ]

    /// One for each bound, and one for what is longer.
    private let counts = InlineArray<16, Atomic<Int>> { _ in Atomic(0) }
    private let sum = Atomic<Int64>(0)

    func recordNanoseconds(_ duration: Int64) {
        var index = 0
        while index < Self.bounds.count, duration > Self.bounds[index].nanoseconds { index += 1 }
        counts[index].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(duration, ordering: .relaxed)
    }

    func record(_ value: Int64) { record(Double(value)) }

    /// In seconds.
    func record(_ value: Double) {
        recordNanoseconds(Int64(exactly: (value * 1e9).rounded()) ?? .max / 2)
    }

    func write(to text: inout MetricsText, _ family: MetricFamily, _ labels: String) {
        var count = 0
        for (index, bound) in Self.bounds.enumerated() {
            count += counts[index].load(ordering: .relaxed)
            text.add("\(family.name)_bucket", labels.adding("le", bound.seconds), "\(count)")
        }
        count += counts[Self.bounds.count].load(ordering: .relaxed)
        text.add("\(family.name)_bucket", labels.adding("le", "+Inf"), "\(count)")
        let seconds = Double(sum.load(ordering: .relaxed)) / 1e9
        text.add("\(family.name)_sum", labels, MetricsText.number(seconds))
        text.add("\(family.name)_count", labels, "\(count)")
    }
}

extension String {
    /// Adds a label to those of a series.
    fileprivate func adding(_ name: String, _ value: String) -> String {
        isEmpty ? "\(name)=\"\(value)\"" : "\(self),\(name)=\"\(value)\""
    }
}
