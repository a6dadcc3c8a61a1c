internal import CGRPCServices
internal import GRPC

/// Which service is asked about; empty for the server as a whole.
struct HealthCheckRequest: WireMessage {
    var service: Name

    init(service: Name) {
        self.service = service
    }

    init(decoding buffer: ByteBuffer) throws {
        service = try buffer.unpacked {
            grpc__health__v1__health_check_request__unpack(nil, $0, $1)
        } free: {
            grpc__health__v1__health_check_request__free_unpacked($0, nil)
        } _: { message in
            message.service.name
        }
    }

    func encoded() -> ByteBuffer {
        let arena = Arena()
        defer { extendLifetime(arena) }
        var message = Grpc__Health__V1__HealthCheckRequest()
        grpc__health__v1__health_check_request__init(&message)
        message.service = arena.name(service)
        return ByteBuffer(
            packing: &message,
            size: grpc__health__v1__health_check_request__get_packed_size,
            grpc__health__v1__health_check_request__pack
        )
    }
}

struct HealthCheckResponse: WireMessage {
    var status: ServingStatus

    init(status: ServingStatus) {
        self.status = status
    }

    init(decoding buffer: ByteBuffer) throws {
        let number = try buffer.unpacked {
            grpc__health__v1__health_check_response__unpack(nil, $0, $1)
        } free: {
            grpc__health__v1__health_check_response__free_unpacked($0, nil)
        } _: { message in
            Int32(bitPattern: message.status.rawValue)
        }
        status = ServingStatus(rawValue: number) ?? .unknown
    }

    func encoded() -> ByteBuffer {
        var message = Grpc__Health__V1__HealthCheckResponse()
        grpc__health__v1__health_check_response__init(&message)
        message.status = Grpc__Health__V1__HealthCheckResponse__ServingStatus(UInt32(bitPattern: status.rawValue))
        return ByteBuffer(
            packing: &message,
            size: grpc__health__v1__health_check_response__get_packed_size,
            grpc__health__v1__health_check_response__pack
        )
    }
}

/// The methods of `grpc.health.v1.Health`.
enum HealthMethods {
    static let service = "grpc.health.v1.Health"
    static let check = MethodDescriptor<HealthCheckRequest, HealthCheckResponse>(service: service, method: "Check")
    static let watch = MethodDescriptor<HealthCheckRequest, HealthCheckResponse>(service: service, method: "Watch")
}
