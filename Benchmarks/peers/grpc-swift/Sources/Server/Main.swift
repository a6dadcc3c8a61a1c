import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// The messenger on grpc-swift 2.
@main
struct Main {
    static func main() async throws {
        let port = ProcessInfo.processInfo.environment["MESSENGER_SERVER_PORT"].flatMap(Int.init) ?? 51075
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "0.0.0.0", port: port),
            transportSecurity: .plaintext
        )
        let service = MessengerService(room: Room())
        let server: GRPCServer<HTTP2ServerTransport.Posix>
        if CommandLine.arguments.contains("--concrete-router") {
            // The compiler specialises the router and the handlers for this transport.
            var router = RPCRouter<HTTP2ServerTransport.Posix>()
            service.registerMethods(with: &router)
            server = GRPCServer(transport: transport, router: router)
        } else {
            server = GRPCServer(transport: transport, services: [service])
        }
        try await server.serve()
    }
}
