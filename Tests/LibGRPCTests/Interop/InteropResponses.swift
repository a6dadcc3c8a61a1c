import CInterop
import LibGRPC

@testable import GRPCServices

struct SimpleResponse {
    var payload: Payload?
}

extension SimpleResponse: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__SimpleResponse> {
        InteropMessageFunctions(
            initialize: grpc__testing__simple_response__init,
            unpack: grpc__testing__simple_response__unpack,
            free: grpc__testing__simple_response__free_unpacked,
            size: grpc__testing__simple_response__get_packed_size,
            pack: grpc__testing__simple_response__pack
        )
    }

    init(_ message: Grpc__Testing__SimpleResponse) {
        payload = Payload(message.payload)
    }

    func fill(_ message: inout Grpc__Testing__SimpleResponse, _ arena: ProtobufArena) {
        message.payload = payload?.wireForm(arena)
    }
}

struct StreamingInputCallResponse {
    var aggregatedPayloadSize: Int
}

extension StreamingInputCallResponse: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__StreamingInputCallResponse> {
        InteropMessageFunctions(
            initialize: grpc__testing__streaming_input_call_response__init,
            unpack: grpc__testing__streaming_input_call_response__unpack,
            free: grpc__testing__streaming_input_call_response__free_unpacked,
            size: grpc__testing__streaming_input_call_response__get_packed_size,
            pack: grpc__testing__streaming_input_call_response__pack
        )
    }

    init(_ message: Grpc__Testing__StreamingInputCallResponse) {
        aggregatedPayloadSize = Int(message.aggregated_payload_size)
    }

    func fill(_ message: inout Grpc__Testing__StreamingInputCallResponse, _: ProtobufArena) {
        message.aggregated_payload_size = Int32(clamping: aggregatedPayloadSize)
    }
}

struct StreamingOutputCallResponse {
    var payload: Payload?
}

extension StreamingOutputCallResponse: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__StreamingOutputCallResponse> {
        InteropMessageFunctions(
            initialize: grpc__testing__streaming_output_call_response__init,
            unpack: grpc__testing__streaming_output_call_response__unpack,
            free: grpc__testing__streaming_output_call_response__free_unpacked,
            size: grpc__testing__streaming_output_call_response__get_packed_size,
            pack: grpc__testing__streaming_output_call_response__pack
        )
    }

    init(_ message: Grpc__Testing__StreamingOutputCallResponse) {
        payload = Payload(message.payload)
    }

    func fill(_ message: inout Grpc__Testing__StreamingOutputCallResponse, _ arena: ProtobufArena) {
        message.payload = payload?.wireForm(arena)
    }
}

/// No bytes on the wire.
struct Empty {}

extension Empty: InteropMessage {
    static var functions: InteropMessageFunctions<Grpc__Testing__Empty> {
        InteropMessageFunctions(
            initialize: grpc__testing__empty__init,
            unpack: grpc__testing__empty__unpack,
            free: grpc__testing__empty__free_unpacked,
            size: grpc__testing__empty__get_packed_size,
            pack: grpc__testing__empty__pack
        )
    }

    init(_: Grpc__Testing__Empty) {}

    func fill(_: inout Grpc__Testing__Empty, _: ProtobufArena) {}
}
