import Foundation
import Hummingbird

struct SendMessageBody: Decodable {
    let author: String
    let text: String
}

struct SendMessageAnswer: ResponseEncodable {
    let sendTime: String
    let error: String?
}

/// The route `POST /sendMessage` with nothing behind it: what HTTP and JSON alone cost.
@main
struct Main {
    static func main() async throws {
        let port = ProcessInfo.processInfo.environment["MESSENGER_HTTP_PORT"].flatMap(Int.init) ?? 8080
        let router = Router()
        router.post("sendMessage") { request, context in
            let body = try await JSONDecoder().decode(SendMessageBody.self, from: request, context: context)
            return SendMessageAnswer(
                sendTime: "2026-01-01T00:00:00.000000000Z",
                error: body.text.isEmpty ? "empty" : nil
            )
        }
        let application = Application(
            router: router,
            configuration: ApplicationConfiguration(address: .hostname("0.0.0.0", port: port))
        )
        try await application.runService()
    }
}
