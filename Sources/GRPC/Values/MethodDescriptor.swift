/// Names a method and fixes the types of its messages.
public struct MethodDescriptor<Request: WireMessage, Response: WireMessage>: Sendable {
    /// The service's full name, with its package: `mes_grpc.MessengerServer` for example.
    public let service: String
    /// The method's name within its service.
    public let method: String
    /// The method's path in HTTP/2: `/service/method`.
    public let path: String

    /// The method with these names, which are those of the service's `.proto` file.
    public init(service: String, method: String) {
        self.service = service
        self.method = method
        path = "/\(service)/\(method)"
    }
}
