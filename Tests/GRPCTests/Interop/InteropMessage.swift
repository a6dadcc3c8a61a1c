import CInterop
import GRPC

@testable import GRPCServices

/// A message of the interop tests: a value here, protobuf-c's struct on its way.
protocol InteropMessage: WireMessage, Equatable {
    associatedtype CMessage
    static var functions: InteropMessageFunctions<CMessage> { get }
    init(_ message: CMessage)
    /// What `arena` makes lives until the message has been packed.
    func fill(_ message: inout CMessage, _ arena: Arena)
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
        let arena = Arena()
        defer { extendLifetime(arena) }
        let message = arena.make(Self.functions.initialize) { fill(&$0, arena) }
        return ByteBuffer(packing: &message.pointee, size: Self.functions.size, Self.functions.pack)
    }
}

extension Arena {
    /// A struct of protobuf-c with its defaults, then as `fill` changes it.
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
