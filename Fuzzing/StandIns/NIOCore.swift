/// A substitute for SwiftNIO's buffer, so that the fuzzer builds in seconds, not minutes.
public struct ByteBuffer: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public var readableBytes: Int { bytes.count }

    public mutating func writeStaticString(_ string: StaticString) {
        string.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    public mutating func writeString(_ string: String) {
        bytes.append(contentsOf: string.utf8)
    }

    public mutating func writeBytes(_ more: some Sequence<UInt8>) {
        bytes.append(contentsOf: more)
    }

    public mutating func writeBytes(_ span: RawSpan) {
        span.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
}
