package import HTTPServing
import NIOCore
import NIOHTTP1

extension HTTPRoute {
    /// `GET /metrics`.
    ///
    /// - Parameter isOpen: Whether everybody may ask, whatever the server's ``HTTPAdmission``.
    package static func metrics(_ registry: MetricsRegistry, isOpen: Bool = false) -> HTTPRoute {
        HTTPRoute("/metrics", [.GET, .HEAD], isOpen: isOpen) { _ in
            .response(
                HTTPResponse(
                    headers: ["Content-Type": MetricsText.contentType, "Cache-Control": "no-store"],
                    body: ByteBuffer(string: registry.text)
                )
            )
        }
    }
}
