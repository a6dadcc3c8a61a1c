import TestSupport
import Testing

@testable import LibGRPC
@testable import GRPCServices

/// Text from peers is compared as bytes: quickly, and different texts stay different.
@Suite struct PeerTextTests {
    /// One letter, as one scalar and as two.
    private static let composed = "caf\u{E9}", decomposed = "cafe\u{301}"

    @Test func metadataIsComparedByBytes() {
        let metadata: Metadata = ["a-\(Self.composed)": .string(Self.composed)]
        #expect(metadata.first("a-\(Self.composed)") != nil)
        #expect(metadata.first("a-\(Self.decomposed)") == nil)
        #expect(metadata["a-\(Self.decomposed)"].isEmpty)
        #expect(metadata != ["a-\(Self.composed)": .string(Self.decomposed)])
        #expect(Set([metadata, ["a-\(Self.composed)": .string(Self.decomposed)]]).count == 2)
        let marks = CombiningMarks.text(bytes: 32 << 10)
        let long: Metadata = ["a-\(marks)": .string(marks)]
        let other: Metadata = ["a-\(marks)b": .string(marks + "b")]
        #expect(
            cpuTime { _ = (long.first("a-\(marks)b"), long == other, Set([long, other])) } < .milliseconds(200)
        )
    }

    @Test func statusesAreComparedByBytes() {
        let status = Status(code: .aborted, message: Self.composed)
        #expect(status == Status(code: .aborted, message: Self.composed))
        #expect(status != Status(code: .aborted, message: Self.decomposed))
        #expect(Set([status, Status(code: .aborted, message: Self.decomposed)]).count == 2)
    }

    @Test func reflectionLooksUpShortNamesOnly() throws {
        let service = try ReflectionService(descriptorSets: [])
        let name = Name(CombiningMarks.text(bytes: 32 << 10))
        #expect(name.bytes.count == 257)
        let queries: [ReflectionRequest.Query] = [
            .fileByName(name), .fileContainingSymbol(name), .fileContainingExtension(of: name, number: 1),
            .extensionNumbers(of: name),
        ]
        for query in queries {
            let time = try cpuTime {
                let result = service.respond(to: query)
                guard case .error(let status) = result else { throw RPCError(code: .unknown, message: "\(result)") }
                #expect(status.code == .notFound)
                #expect(status.message.hasSuffix("the name is longer than 256 bytes"))
            }
            #expect(time < .milliseconds(200))
        }
    }

    @Test func namesAreComparedByBytes() {
        #expect(Name(Self.composed) != Name(Self.decomposed))
        #expect(Set([Name(Self.composed), Name(Self.decomposed)]).count == 2)
        #expect(Name(String(repeating: "a", count: 256)).isTooLong == false)
        #expect(Name(String(repeating: "a", count: 257)).isTooLong)
    }

    @Test func aHealthRequestKeepsNoLongName() throws {
        // The field 1, with 2^20 bytes.
        let bytes = [0x0A, 0x80, 0x80, 0x40] + [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
        let request = try HealthCheckRequest(decoding: ByteBuffer(bytes))
        #expect(request.service.bytes.count == 257)
    }
}

@Suite struct DescriptorIndexTests {
    /// The descriptor set of:
    ///
    ///     syntax = "proto2";
    ///     package test;
    ///     message Base { extensions 100 to 200; message Inner { enum Kind { GOOD = 0; } } }
    ///     extend Base { optional int32 first = 100; }
    ///     message Scope { extend Base { optional string second = 150; } }
    private static let set: [UInt8] = [
        10, 139, 1, 10, 9, 101, 120, 116, 46, 112, 114, 111, 116, 111, 18, 4, 116, 101, 115, 116, 34, 40, 10, 4,
        66, 97, 115, 101, 26, 25, 10, 5, 73, 110, 110, 101, 114, 34, 16, 10, 4, 75, 105, 110, 100, 18, 8, 10,
        4, 71, 79, 79, 68, 16, 0, 42, 5, 8, 100, 16, 201, 1, 34, 44, 10, 5, 83, 99, 111, 112, 101, 50,
        35, 10, 6, 115, 101, 99, 111, 110, 100, 18, 10, 46, 116, 101, 115, 116, 46, 66, 97, 115, 101, 24, 150, 1,
        32, 1, 40, 9, 82, 6, 115, 101, 99, 111, 110, 100, 58, 32, 10, 5, 102, 105, 114, 115, 116, 18, 10, 46,
        116, 101, 115, 116, 46, 66, 97, 115, 101, 24, 100, 32, 1, 40, 5, 82, 5, 102, 105, 114, 115, 116,
    ]

    private let index: DescriptorIndex

    init() throws {
        index = try DescriptorIndex(descriptorSets: [Self.set, Self.set])
    }

    @Test(arguments: [
        "test.Base", "test.Base.Inner", "test.Base.Inner.Kind", "test.Base.Inner.GOOD", "test.first",
        "test.Scope.second",
    ])
    func findsSymbols(name: String) {
        #expect(index.descriptors(ofSymbol: Name(name))?.count == 1)
    }

    @Test(arguments: ["", "test", "Base", ".test.Base", "test.Base.Kind"])
    func findsNothingElse(name: String) {
        #expect(index.descriptors(ofSymbol: Name(name)) == nil)
    }

    @Test func findsExtensions() {
        #expect(index.extensionNumbers(of: "test.Base") == [100, 150])
        #expect(index.extensionNumbers(of: "test.Scope") == [])
        #expect(index.extensionNumbers(of: "test.Missing") == nil)
        #expect(index.descriptors(ofExtension: 150, of: "test.Base")?.count == 1)
        #expect(index.descriptors(ofExtension: 151, of: "test.Base") == nil)
    }

    @Test func refusesOtherBytes() {
        #expect(throws: (any Error).self) { try DescriptorIndex(descriptorSets: [[0xFF, 0xFF]]) }
    }
}
