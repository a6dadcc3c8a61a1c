import CInterop
import LibGRPC

@testable import GRPCServices

/// A message of the interop tests: a value in Swift, a struct of protobuf-c for the wire.
protocol InteropMessage: WireMessage, Equatable {
    associatedtype CMessage
    static var functions: InteropMessageFunctions<CMessage> { get }
    init(_ message: CMessage)
    /// Memory from `arena` lives until the message has been encoded.
    func fill(_ message: inout CMessage, _ arena: ProtobufArena)
}

/// The functions that protobuf-c generates for a message.
struct InteropMessageFunctions<CMessage> {
    let initialize: (UnsafeMutablePointer<CMessage>?) -> Void
    let unpack:
        (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<CMessage>?
    let free: (UnsafeMutablePointer<CMessage>?, UnsafeMutablePointer<ProtobufCAllocator>?) -> Void
    let size: (UnsafePointer<CMessage>?) -> Int
    let pack: (UnsafePointer<CMessage>?, UnsafeMutablePointer<UInt8>?) -> Int
}

extension InteropMessage {
    init(decoding buffer: ByteBuffer) throws {
        self = try buffer.unpacked {
            Self.functions.unpack(nil, $0, $1)
        } free: {
            Self.functions.free($0, nil)
        } _: { message in
            Self(message)
        }
    }

    func encoded() -> ByteBuffer {
        let arena = ProtobufArena()
        defer { extendLifetime(arena) }
        let message = arena.make(Self.functions.initialize) { fill(&$0, arena) }
        return ByteBuffer(packing: &message.pointee, size: Self.functions.size, Self.functions.pack)
    }
}

extension ProtobufArena {
    /// Makes a struct of protobuf-c with its defaults, which `fill` changes.
    func make<CMessage>(
        _ initialize: (UnsafeMutablePointer<CMessage>?) -> Void,
        _ fill: (inout CMessage) -> Void
    ) -> UnsafeMutablePointer<CMessage> {
        let message = UnsafeMutablePointer<CMessage>.allocate(capacity: 1)
        defer { message.deallocate() }
        initialize(message)
        fill(&message.pointee)
        return one(message.pointee)
    }
}

// The parts of interop messages. A part that is left out is nil.

/// Padding.
struct Payload: Sendable, Equatable {
    var body: [UInt8]

    /// Zeros, as the definition says.
    init(size: Int) {
        body = [UInt8](repeating: 0, count: size)
    }

    init?(_ payload: UnsafeMutablePointer<Grpc__Testing__Payload>?) {
        guard let payload else { return nil }
        body = payload.pointee.body.copy
    }

    func wireForm(_ arena: ProtobufArena) -> UnsafeMutablePointer<Grpc__Testing__Payload> {
        arena.make(grpc__testing__payload__init) { $0.body = arena.bytes(body) }
    }
}

/// One response that a client asks for.
struct ResponseParameters: Sendable, Equatable {
    var size: Int
    var compressed: Bool?

    init(size: Int, compressed: Bool? = nil) {
        self.size = size
        self.compressed = compressed
    }

    init(_ parameters: Grpc__Testing__ResponseParameters) {
        size = Int(parameters.size)
        compressed = Bool(parameters.compressed)
    }

    func wireForm(_ arena: ProtobufArena) -> UnsafeMutablePointer<Grpc__Testing__ResponseParameters> {
        arena.make(grpc__testing__response_parameters__init) {
            $0.size = Int32(clamping: size)
            $0.compressed = compressed?.wireForm(arena)
        }
    }
}

extension Bool {
    init?(_ value: UnsafeMutablePointer<Grpc__Testing__BoolValue>?) {
        guard let value else { return nil }
        self = value.pointee.value != 0
    }

    func wireForm(_ arena: ProtobufArena) -> UnsafeMutablePointer<Grpc__Testing__BoolValue> {
        arena.make(grpc__testing__bool_value__init) { $0.value = self ? 1 : 0 }
    }
}

extension Status {
    init?(_ status: UnsafeMutablePointer<Grpc__Testing__EchoStatus>?) {
        guard let status = status?.pointee else { return nil }
        self.init(
            code: Code(rawValue: Int(status.code)) ?? .unknown,
            message: String(decoding: status.message.copy, as: UTF8.self)
        )
    }

    func wireForm(_ arena: ProtobufArena) -> UnsafeMutablePointer<Grpc__Testing__EchoStatus> {
        arena.make(grpc__testing__echo_status__init) {
            $0.code = Int32(code.rawValue)
            $0.message = arena.string(message)
        }
    }
}

extension ProtobufCBinaryData {
    /// Like `bytes` of GRPCServices, which the compiler does not always find here: two C modules include the type.
    fileprivate var copy: [UInt8] { Array(UnsafeBufferPointer(start: data, count: len)) }
}
