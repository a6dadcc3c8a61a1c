internal import CGRPCServices
public import LibGRPC

/// `grpc.reflection.v1.ServerReflection`, also as `v1alpha` for older clients: tools such as grpcurl can call a server
/// without its `.proto` file.
public struct ReflectionService: Sendable {
    private let index: DescriptorIndex

    /// - Parameter descriptorSets: Serialized `google.protobuf.FileDescriptorSet`s of the server's services, as
    ///   `protoc --include_imports --descriptor_set_out` writes them. This library's services are added.
    /// - Throws: ``RPCError`` with `INVALID_ARGUMENT` for other bytes.
    public init(descriptorSets: [[UInt8]]) throws {
        index = try DescriptorIndex(descriptorSets: descriptorSets + [Descriptors.services])
    }

    /// The service's methods, for a server.
    public var methods: [ServerMethod] {
        ["v1", "v1alpha"].map { version in
            .bidirectional(
                MethodDescriptor<ReflectionRequest, ReflectionResponse>(
                    service: "grpc.reflection.\(version).ServerReflection",
                    method: "ServerReflectionInfo"
                )
            ) { requests, writer, _ in
                for try await request in requests {
                    try await writer.write(ReflectionResponse(to: request, respond(to: request.query)))
                }
            }
            .slots(2)
        }
    }

    func respond(to query: ReflectionRequest.Query) -> ReflectionResponse.Result {
        switch query {
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
            .error(Status(code: .invalidArgument, message: "the request has no query"))
        }
    }

    private func found(_ descriptors: [[UInt8]]?, _ kind: String, _ name: Name) -> ReflectionResponse.Result {
        descriptors.map { .files($0) } ?? notFound(kind, name)
    }

    private func notFound(_ kind: String, _ name: Name) -> ReflectionResponse.Result {
        let shown = name.isTooLong ? "the name is longer than \(Name.maxBytes) bytes" : "\(name)"
        return .error(Status(code: .notFound, message: "no such \(kind): \(shown)"))
    }
}

// MARK: - Messages

/// A client's query, and its bytes: the response repeats them.
struct ReflectionRequest: WireMessage {
    enum Query: Sendable, Equatable {
        case fileByName(Name)
        case fileContainingSymbol(Name)
        case fileContainingExtension(of: Name, number: Int32)
        case extensionNumbers(of: Name)
        case services
        case none
    }

    var query: Query
    var host: [UInt8]
    var original: ByteBuffer

    init(decoding buffer: ByteBuffer) throws {
        original = buffer
        (host, query) = try buffer.unpacked {
            grpc__reflection__v1__server_reflection_request__unpack(nil, $0, $1)
        } free: {
            grpc__reflection__v1__server_reflection_request__free_unpacked($0, nil)
        } _: { message in
            (message.host.bytes, Query(message))
        }
    }

    func encoded() -> ByteBuffer { original }
}

extension ReflectionRequest.Query {
    fileprivate init(_ message: Grpc__Reflection__V1__ServerReflectionRequest) {
        switch message.message_request_case {
        case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
            self = .fileByName(message.file_by_filename.name)
        case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
            self = .fileContainingSymbol(message.file_containing_symbol.name)
        case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
            guard let request = message.file_containing_extension?.pointee else {
                self = .none
                return
            }
            self = .fileContainingExtension(of: request.containing_type.name, number: request.extension_number)
        case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
            self = .extensionNumbers(of: message.all_extension_numbers_of_type.name)
        case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
            self = .services
        default:
            self = .none
        }
    }
}

struct ReflectionResponse: WireMessage {
    enum Result: Sendable, Equatable {
        case files([[UInt8]])
        case extensionNumbers(of: Name, [Int32])
        case services([String])
        case error(Status)
    }

    var request: ReflectionRequest
    var result: Result

    init(to request: ReflectionRequest, _ result: Result) {
        self.request = request
        self.result = result
    }

    init(decoding buffer: ByteBuffer) throws {
        throw RPCError(code: .unimplemented, message: "reflection clients are not supported")
    }

    func encoded() throws -> ByteBuffer {
        let arena = ProtobufArena()
        defer { extendLifetime(arena) }
        return try request.original.unpacked {
            grpc__reflection__v1__server_reflection_request__unpack(nil, $0, $1)
        } free: {
            grpc__reflection__v1__server_reflection_request__free_unpacked($0, nil)
        } _: { original in
            var message = Grpc__Reflection__V1__ServerReflectionResponse()
            grpc__reflection__v1__server_reflection_response__init(&message)
            message.valid_host = arena.bytes(request.host)
            message.original_request = arena.one(original)
            result.fill(&message, arena)
            return ByteBuffer(
                packing: &message,
                size: grpc__reflection__v1__server_reflection_response__get_packed_size,
                grpc__reflection__v1__server_reflection_response__pack
            )
        }
    }
}

extension ReflectionResponse.Result {
    fileprivate func fill(_ message: inout Grpc__Reflection__V1__ServerReflectionResponse, _ arena: ProtobufArena) {
        switch self {
        case .files(let descriptors):
            var files = Grpc__Reflection__V1__FileDescriptorResponse()
            grpc__reflection__v1__file_descriptor_response__init(&files)
            files.n_file_descriptor_proto = descriptors.count
            files.file_descriptor_proto = arena.array(descriptors.map(arena.bytes))
            message.message_response_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE
            message.file_descriptor_response = arena.one(files)
        case .extensionNumbers(let type, let numbers):
            var extensions = Grpc__Reflection__V1__ExtensionNumberResponse()
            grpc__reflection__v1__extension_number_response__init(&extensions)
            extensions.base_type_name = arena.name(type)
            extensions.n_extension_number = numbers.count
            extensions.extension_number = arena.array(numbers)
            message.message_response_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE
            message.all_extension_numbers_response = arena.one(extensions)
        case .services(let names):
            var list = Grpc__Reflection__V1__ListServiceResponse()
            grpc__reflection__v1__list_service_response__init(&list)
            list.n_service = names.count
            list.service = arena.array(
                names.map { name in
                    var service = Grpc__Reflection__V1__ServiceResponse()
                    grpc__reflection__v1__service_response__init(&service)
                    service.name = arena.string(name)
                    return arena.one(service)
                }
            )
            message.message_response_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE
            message.list_services_response = arena.one(list)
        case .error(let status):
            var error = Grpc__Reflection__V1__ErrorResponse()
            grpc__reflection__v1__error_response__init(&error)
            error.error_code = Int32(status.code.rawValue)
            error.error_message = arena.string(status.message)
            message.message_response_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE
            message.error_response = arena.one(error)
        }
    }
}
