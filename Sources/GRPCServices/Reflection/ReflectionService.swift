public import GRPC

/// `grpc.reflection.v1.ServerReflection`, and the same as `v1alpha` for older clients: lets tools such as grpcurl call a
/// server of which they have no `.proto` file.
public struct ReflectionService: Sendable {
    private let index: DescriptorIndex

    /// - Parameter descriptorSets: Serialized `google.protobuf.FileDescriptorSet`s of the server's services, as
    ///   `protoc --include_imports --descriptor_set_out` writes them. Those of this library's services are added.
    /// - Throws: ``RPCError`` with `INVALID_ARGUMENT` for bytes that are none.
    public init(descriptorSets: [[UInt8]]) throws {
        index = try DescriptorIndex(descriptorSets: descriptorSets + [Descriptors.services])
    }

    /// What a server needs to offer the service.
    public var methods: [ServerMethod] {
        ["v1", "v1alpha"].map { version in
            .bidirectional(
                MethodDescriptor<ReflectionRequest, ReflectionResponse>(
                    service: "grpc.reflection.\(version).ServerReflection",
                    method: "ServerReflectionInfo"
                )
            ) { requests, writer, _ in
                for try await request in requests {
                    try await writer.write(ReflectionResponse(to: request, answer(request.question)))
                }
            }
            .slots(2)
        }
    }

    func answer(_ question: ReflectionRequest.Question) -> ReflectionResponse.Answer {
        switch question {
        case .fileByName(let name):
            found(index.descriptors(ofFile: name), "file", name)
        case .fileContainingSymbol(let name):
            found(index.descriptors(ofSymbol: name), "symbol", name)
        case .fileContainingExtension(let type, let number):
            found(index.descriptors(ofExtension: number, of: type), "extension with the number \(number) of", type)
        case .extensionNumbers(let type):
            index.extensionNumbers(of: type).map { .extensionNumbers(of: type, $0) } ?? notFound("message", type)
        case .services:
            .services(index.services)
        case .none:
            .error(Status(code: .invalidArgument, message: "the request asks nothing"))
        }
    }

    private func found(_ descriptors: [[UInt8]]?, _ kind: String, _ name: Name) -> ReflectionResponse.Answer {
        descriptors.map { .files($0) } ?? notFound(kind, name)
    }

    private func notFound(_ kind: String, _ name: Name) -> ReflectionResponse.Answer {
        let shown = name.isTooLong ? "the name has more than \(Name.maxBytes) bytes" : "\(name)"
        return .error(Status(code: .notFound, message: "no such \(kind): \(shown)"))
    }
}
