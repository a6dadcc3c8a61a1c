import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1

/// The page for people and the files that it loads. SwiftPM embeds them in the program (`Package.swift`).
enum PageRoutes {
    static let all = [
        route("/", "text/html; charset=utf-8", PackageResources.index_html, isLinkable: true),
        route("/page/page.css", "text/css; charset=utf-8", PackageResources.page_css),
        route("/page/icon.svg", "image/svg+xml", PackageResources.icon_svg),
        script("page", PackageResources.page_js),
        script("announcer", PackageResources.announcer_js),
        script("composer", PackageResources.composer_js),
        script("history", PackageResources.history_js),
        script("log", PackageResources.log_js),
        script("outbox", PackageResources.outbox_js),
        script("requests", PackageResources.requests_js),
        script("row", PackageResources.row_js),
        script("stream", PackageResources.stream_js),
        script("texts", PackageResources.texts_js),
        script("token", PackageResources.token_js),
        script("unsent", PackageResources.unsent_js),
    ]

    /// What the page may do: load its own files and call its own server. It is in no other page's frame.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """

    private static func script(_ name: String, _ bytes: [UInt8]) -> HTTPRoute {
        route("/page/\(name).js", "text/javascript; charset=utf-8", bytes)
    }

    private static func route(_ path: String, _ type: String, _ bytes: [UInt8], isLinkable: Bool = false) -> HTTPRoute {
        var headers: HTTPHeaders = [
            "Content-Type": type,
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            // Browsers ask each time whether their copy is still right, so a new program's page is there at once.
            "Cache-Control": "no-cache",
        ]
        let tag = SHA256.hexDigest(of: bytes).map { "\"\($0.prefix(32))\"" }
        if let tag { headers.add(name: "ETag", value: tag) }
        let whole = HTTPResponse(headers: headers, body: ByteBuffer(bytes: bytes))
        let unchanged = HTTPResponse(status: .notModified, headers: headers, body: ByteBuffer())
        return HTTPRoute(path, [.GET, .HEAD], isLinkable: isLinkable, isOpen: true) { request in
            .response(request.head.hasCopy(tag) ? unchanged : whole)
        }
    }
}

extension HTTPRequestHead {
    /// Whether the peer has a copy with this tag (`If-None-Match`).
    fileprivate func hasCopy(_ tag: String?) -> Bool {
        guard let tag else { return false }
        let copies = headers[canonicalForm: "If-None-Match"]
        return copies.contains { copy in
            // A proxy that compresses makes the tag weak.
            let copy = copy.utf8.starts(with: "W/".utf8) ? copy.dropFirst(2) : copy
            return copy.utf8.elementsEqual("*".utf8) || copy.utf8.elementsEqual(tag.utf8)
        }
    }
}
