import CoreMetrics
import Synchronization
import Testing

@testable import Prometheus

struct MetricsRegistryTests {
    private static let calls = MetricFamily("calls_total", .counter, "All calls.")
    private static let seconds = MetricFamily("call_seconds", .histogram, "Their duration.")

    private func lines(_ registry: MetricsRegistry) -> [String] {
        registry.text.split(separator: "\n").map(String.init)
    }

    @Test func counters() {
        let registry = MetricsRegistry([Self.calls])
        #expect(lines(registry) == ["# HELP calls_total All calls.", "# TYPE calls_total counter"])
        let counter = Counter(Self.calls, [("method", "Send")], in: registry)
        counter.increment()
        Counter(Self.calls, [("method", "Send")], in: registry).increment(by: 2)
        _ = Counter(Self.calls, [("method", "Read")], in: registry)
        #expect(
            lines(registry) == [
                "# HELP calls_total All calls.",
                "# TYPE calls_total counter",
                #"calls_total{method="Send"} 3"#,
                #"calls_total{method="Read"} 0"#,
            ]
        )
    }

    @Test func countersThatAreLeftOutWhileTheyAreZero() {
        let family = MetricFamily("refused_total", .counter, "", isSparse: true)
        let registry = MetricsRegistry([family])
        let counters = ["a", "b"].map { Counter(family, [("reason", $0)], in: registry) }
        counters[1].increment()
        #expect(lines(registry) == ["# TYPE refused_total counter", #"refused_total{reason="b"} 1"#])
    }

    @Test func escaping() {
        let family = MetricFamily("odd", .gauge, "A \\ and\na \"line\".")
        let registry = MetricsRegistry([family])
        registry.collect { $0.add(family, 1, [("text", "a\"b\\c\nd é")]) }
        #expect(
            lines(registry) == [
                #"# HELP odd A \\ and\na "line"."#,
                "# TYPE odd gauge",
                #"odd{text="a\"b\\c\nd é"} 1"#,
            ]
        )
    }

    @Test func histogramsAreCumulative() {
        let registry = MetricsRegistry([Self.seconds])
        let timer = CoreMetrics.Timer(Self.seconds, [("method", "Send")], in: registry)
        // A bound belongs to its bucket.
        for duration in [Duration.microseconds(100), .microseconds(101), .milliseconds(3), .seconds(11)] {
            timer.record(duration)
        }
        let lines = lines(registry)
        #expect(lines.contains("# TYPE call_seconds histogram"))
        let expected = [
            ("0.0001", 1), ("0.00025", 2), ("0.0005", 2), ("0.001", 2), ("0.0025", 2), ("0.005", 3), ("10.0", 3),
            ("+Inf", 4),
        ]
        for (bound, count) in expected {
            #expect(lines.contains(#"call_seconds_bucket{method="Send",le="\#(bound)"} \#(count)"#))
        }
        #expect(lines.contains(#"call_seconds_sum{method="Send"} 11.003201"#))
        #expect(lines.contains(#"call_seconds_count{method="Send"} 4"#))
    }

    @Test func collectedValuesAreThoseOfTheScrape() {
        let family = MetricFamily("level", .gauge, "")
        let registry = MetricsRegistry([family])
        let level = Mutex(0.5)
        registry.collect { samples in samples.add(family, level.withLock(\.self)) }
        #expect(lines(registry).contains("level 0.5"))
        level.withLock { $0 = 2 }
        #expect(lines(registry).contains("level 2"))
    }

    @Test(arguments: [
        (1.0, "1"), (0.5, "0.5"), (-2, "-2"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        (1e-7, "1e-07"), (1.5e300, "1.5e+300"),
    ])
    func numbers(_ value: Double, _ text: String) {
        #expect(MetricsText.number(value) == text)
    }

    @Test func theNumberOfSeriesIsBounded() {
        let registry = MetricsRegistry([Self.calls], maxSeries: 2)
        for index in 0..<5 { Counter(Self.calls, [("method", "\(index)")], in: registry).increment() }
        #expect(lines(registry).count == 4)
    }

    @Test func metricsOfLibraries() {
        let registry = MetricsRegistry([])
        Meter(label: "pool.size", factory: registry).set(3)
        Counter(label: "9lives", factory: registry).increment()
        // Another kind under the same name counts nothing.
        Counter(label: "pool.size", factory: registry).increment()
        #expect(lines(registry) == ["# TYPE _9lives counter", "_9lives 1", "# TYPE pool_size gauge", "pool_size 3"])
    }

    @Test func theProcess() throws {
        let registry = MetricsRegistry(ProcessMetrics.families)
        ProcessMetrics.register(in: registry)
        var values: [String: Double] = [:]
        for line in lines(registry) where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            values[String(parts[0])] = Double(parts[1])
        }
        #expect(values.count == 6)
        #expect(try #require(values["process_cpu_seconds_total"]) > 0)
        #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_allocated_memory_bytes"]) >= 0)
        let files = try #require(values["process_open_fds"])
        #expect(files >= 3 && files <= values["process_max_fds"] ?? 0)
        #expect(try #require(values["process_start_time_seconds"]) > 1.6e9)
    }
}
