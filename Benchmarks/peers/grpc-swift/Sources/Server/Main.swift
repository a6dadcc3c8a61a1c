import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// The messenger on grpc-swift 2.
@main
struct Main {
    static func main() async throws {
        let port = ProcessInfo.processInfo.environment["MESSENGER_SERVER_PORT"].flatMap(Int.init) ?? 51075
        let server = GRPCServer(
            transport: .http2NIOPosix(
                address: .ipv4(host: "0.0.0.0", port: port),
                transportSecurity: .plaintext
            ),
            services: [MessengerService(room: Room())]
        )
        try await server.serve()
    }
}
