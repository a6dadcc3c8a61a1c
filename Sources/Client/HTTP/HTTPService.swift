import Hummingbird
import Messenger
import NIOCore
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Runs the HTTP server, and says in words why it could not begin to listen.
struct HTTPService<Application: ApplicationProtocol>: Service {
    let application: Application
    /// The port that the application listens on.
    let port: Port

    /// Serves until a graceful shutdown.
    ///
    /// - Throws: ``StartError`` when the port cannot be had, and any other error that stopped the server.
    func run() async throws {
        do {
            try await self.application.run()
        } catch let error as IOError {
            throw StartError(listeningOn: self.port, failedWith: error) ?? error
        }
    }
}

extension StartError {
    /// What it means that a server could not listen; `nil` for errors that say nothing about the port.
    fileprivate init?(listeningOn port: Port, failedWith error: IOError) {
        switch error.errnoCode {
        case EADDRINUSE:
            self.init(
                .unavailable,
                "Port \(port) is in use; choose another one with MESSENGER_HTTP_PORT or --http-port."
            )
        case EACCES:
            self.init(
                .notPermitted,
                "Port \(port) takes more rights; choose one above 1023 with MESSENGER_HTTP_PORT or --http-port."
            )
        default:
            return nil
        }
    }
}
