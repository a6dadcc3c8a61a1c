import CInterop
import LibGRPC

@testable import GRPCServices

struct SimpleRequest {
    var responseSize = 0
    var payload: Payload?
    var responseCompressed: Bool?
    var responseStatus: Status?
    var expectCompressed: Bool?

    /// The request of `large_unary`, which other cases send as well.
    static let large = SimpleRequest(responseSize: 314_159, payload: Payload(size: 271_828))
}

extension SimpleRequest: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__SimpleRequest> {
        InteropMessageFunctions(
            initialize: grpc__testing__simple_request__init,
            unpack: grpc__testing__simple_request__unpack,
            free: grpc__testing__simple_request__free_unpacked,
            size: grpc__testing__simple_request__get_packed_size,
            pack: grpc__testing__simple_request__pack
        )
    }

    init(_ message: Grpc__Testing__SimpleRequest) {
        responseSize = Int(message.response_size)
        payload = Payload(message.payload)
        responseCompressed = Bool(message.response_compressed)
        responseStatus = Status(message.response_status)
        expectCompressed = Bool(message.expect_compressed)
    }

    func fill(_ message: inout Grpc__Testing__SimpleRequest, _ arena: ProtobufArena) {
        message.response_size = Int32(clamping: responseSize)
        message.payload = payload?.wireForm(arena)
        message.response_compressed = responseCompressed?.wireForm(arena)
        message.response_status = responseStatus?.wireForm(arena)
        message.expect_compressed = expectCompressed?.wireForm(arena)
    }
}

struct StreamingInputCallRequest {
    var payload: Payload?
    var expectCompressed: Bool?
}

extension StreamingInputCallRequest: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__StreamingInputCallRequest> {
        InteropMessageFunctions(
            initialize: grpc__testing__streaming_input_call_request__init,
            unpack: grpc__testing__streaming_input_call_request__unpack,
            free: grpc__testing__streaming_input_call_request__free_unpacked,
            size: grpc__testing__streaming_input_call_request__get_packed_size,
            pack: grpc__testing__streaming_input_call_request__pack
        )
    }

    init(_ message: Grpc__Testing__StreamingInputCallRequest) {
        payload = Payload(message.payload)
        expectCompressed = Bool(message.expect_compressed)
    }

    func fill(_ message: inout Grpc__Testing__StreamingInputCallRequest, _ arena: ProtobufArena) {
        message.payload = payload?.wireForm(arena)
        message.expect_compressed = expectCompressed?.wireForm(arena)
    }
}

struct StreamingOutputCallRequest {
    var responseParameters: [ResponseParameters] = []
    var payload: Payload?
    var responseStatus: Status?
}

extension StreamingOutputCallRequest: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__StreamingOutputCallRequest> {
        InteropMessageFunctions(
            initialize: grpc__testing__streaming_output_call_request__init,
            unpack: grpc__testing__streaming_output_call_request__unpack,
            free: grpc__testing__streaming_output_call_request__free_unpacked,
            size: grpc__testing__streaming_output_call_request__get_packed_size,
            pack: grpc__testing__streaming_output_call_request__pack
        )
    }

    init(_ message: Grpc__Testing__StreamingOutputCallRequest) {
        let parameters = UnsafeBufferPointer(start: message.response_parameters, count: message.n_response_parameters)
        responseParameters = parameters.compactMap { $0.map { ResponseParameters($0.pointee) } }
        payload = Payload(message.payload)
        responseStatus = Status(message.response_status)
    }

    func fill(_ message: inout Grpc__Testing__StreamingOutputCallRequest, _ arena: ProtobufArena) {
        message.n_response_parameters = responseParameters.count
        message.response_parameters = arena.array(responseParameters.map { $0.wireForm(arena) })
        message.payload = payload?.wireForm(arena)
        message.response_status = responseStatus?.wireForm(arena)
    }
}
