import Testing

@testable import Messenger

@Suite struct SendTimeRFC3339Tests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_631_442_322_454_093_428, "2021-09-12T10:25:22.454093428Z"),
            (1_631_442_322_500_000_000, "2021-09-12T10:25:22.500000000Z"),
            (951_782_399_000_000_000, "2000-02-28T23:59:59.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (.max, "2262-04-11T23:47:16.854775807Z"),
            (.min, "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String)]
    )
    func writesNineDigitsAndReadsThemBack(nanoseconds: Int64, text: String) {
        let time = SendTime(nanosecondsSinceEpoch: nanoseconds)
        #expect(time.description == text)
        #expect(SendTime(rfc3339: text) == time)
    }

    @Test func bytesAreTheDescription() {
        let time = SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428)
        let bytes = time.rfc3339
        #expect(bytes.indices.map { bytes[$0] } == Array(time.description.utf8))
    }

    @Test func textsSortAsTheirTimes() {
        var generator = SplitMix64(seed: 3)
        let times = (0..<1000).map { _ in SendTime(nanosecondsSinceEpoch: .random(in: .min ... .max, using: &generator))
        }
        #expect(times.sorted().map(\.description) == times.map(\.description).sorted())
        #expect(times.allSatisfy { SendTime(rfc3339: $0.description) == $0 })
    }

    @Test(
        arguments: [
            ("2021-09-12T10:25:22Z", 0),
            ("2021-09-12T10:25:22.5Z", 500_000_000),
            ("2021-09-12T10:25:22.05Z", 50_000_000),
            ("2021-09-12T10:25:22.454093Z", 454_093_000),
            ("2021-09-12T10:25:22.00000001Z", 10),
        ] as [(String, Int32)]
    )
    func readsFewerDigits(text: String, nanos: Int32) {
        #expect(SendTime(rfc3339: text) == SendTime(seconds: 1_631_442_322, nanos: nanos))
    }

    @Test(arguments: [
        "",
        "Z",
        "2021-09-12T10:25:22",
        "2021-09-12T10:25:22.Z",
        "2021-09-12T10:25:22.0000000000Z",
        "2021-09-12T10:25:22.-1Z",
        "2021-09-12T10:25:22,5Z",
        "2021-09-12T10:25:22+00:00",
        "2021-09-12T10:25:22z",
        "2021-09-12t10:25:22Z",
        "2021-09-12 10:25:22Z",
        "2021-09-12T10:25:60Z",
        "2021-09-12T10:60:22Z",
        "2021-09-12T24:25:22Z",
        "2021-13-12T10:25:22Z",
        "2021-00-12T10:25:22Z",
        "2021-09-31T10:25:22Z",
        "2021-09-00T10:25:22Z",
        "2021-02-29T10:25:22Z",
        "1900-02-29T10:25:22Z",
        "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z",
        "9999-12-31T23:59:59.999999999Z",
        "+021-09-12T10:25:22Z",
        "2021-09-12T10:25:22ZZ",
        "٢٠٢١-09-12T10:25:22Z",
        "2021-09-12T10:25:2\u{0}Z",
    ])
    func refusesOtherTexts(text: String) {
        #expect(SendTime(rfc3339: text) == nil)
    }
}

/// A small generator with a seed, so that a failure comes again.
private struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
