package import CoreMetrics

/// What is known of a metric before it has a value.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    let name: String
    let kind: Kind
    /// One sentence for people.
    let help: String
    /// Whether counters are left out as long as they are zero, because most stay so.
    let isSparse: Bool

    package init(_ name: String, _ kind: Kind, _ help: String, isSparse: Bool = false) {
        self.name = name
        self.kind = kind
        self.help = help
        self.isSparse = isSparse
    }
}

package typealias MetricLabels = [(String, String)]

// Without a factory, those of the process: they do nothing if it has none.

extension Counter {
    package convenience init(
        _ family: MetricFamily,
        _ labels: MetricLabels = [],
        in factory: (any MetricsFactory)? = nil
    ) {
        self.init(label: family.name, dimensions: labels, factory: factory ?? MetricsSystem.factory)
    }
}

extension CoreMetrics.Timer {
    package convenience init(
        _ family: MetricFamily,
        _ labels: MetricLabels = [],
        in factory: (any MetricsFactory)? = nil
    ) {
        self.init(label: family.name, dimensions: labels, factory: factory ?? MetricsSystem.factory)
    }

    package func record(_ duration: Duration) {
        recordNanoseconds(Int64(duration / .nanoseconds(1)))
    }
}
