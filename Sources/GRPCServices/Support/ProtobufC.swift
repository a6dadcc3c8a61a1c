internal import CGRPCServices
internal import GRPC

/// Memory for the C structs of one message while it is packed. Freed with the arena.
final class Arena {
    private var allocations: [UnsafeMutableRawPointer] = []

    deinit {
        for allocation in allocations { allocation.deallocate() }
    }

    /// A copy of C values, one after the other. (Swift does not see that structs with unions are BitwiseCopyable.)
    func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        copy.initialize(from: elements, count: elements.count)
        allocations.append(UnsafeMutableRawPointer(copy))
        return copy
    }

    /// A copy of one value.
    func one<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        array([value])
    }

    func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
        ProtobufCBinaryData(len: bytes.count, data: array(bytes))
    }

    func string(_ string: String) -> ProtobufCBinaryData {
        bytes(Array(string.utf8))
    }

    func name(_ name: Name) -> ProtobufCBinaryData { bytes(name.bytes) }
}

extension ProtobufCBinaryData {
    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: data, count: len)) }

    var name: Name { Name(UnsafeBufferPointer(start: data, count: len)) }
}
