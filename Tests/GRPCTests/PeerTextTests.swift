import TestSupport
import Testing

@testable import GRPC
@testable import GRPCServices

/// What a peer chose is compared as bytes: quickly, and without making different texts equal.
@Suite struct PeerTextTests {
    /// A letter that has a form of one scalar, and one of two.
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
            processorTime { _ = (long.first("a-\(marks)b"), long == other, Set([long, other])) } < .milliseconds(200)
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
        let questions: [ReflectionRequest.Question] = [
            .fileByName(name), .fileContainingSymbol(name), .fileContainingExtension(of: name, number: 1),
            .extensionNumbers(of: name),
        ]
        for question in questions {
            let time = try processorTime {
                let answer = service.answer(question)
                guard case .error(let status) = answer else { throw RPCError(code: .unknown, message: "\(answer)") }
                #expect(status.code == .notFound)
                #expect(status.message.hasSuffix("the name has more than 256 bytes"))
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
