import LibGRPC

/// How a message becomes bytes. Here it is plain text.
extension MessageCodec<String> {
    static var text: Self {
        Self(encode: { ByteBuffer($0.utf8) }) { bytes in
            bytes.withBytes { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
        }
    }
}

/// The service's methods, as both sides know them.
enum Greeter {
    static let greet = MethodDescriptor(service: "hello.Greeter", method: "Greet", requests: .text, responses: .text)
    static let count = MethodDescriptor(service: "hello.Greeter", method: "Count", requests: .text, responses: .text)
}

@main
struct FirstService {
    static func main() async throws {
        let greet = ServerMethod.unary(Greeter.greet) { name, _ in "Hello, \(name)!" }
        let count = ServerMethod.serverStreaming(Greeter.count) { end, responses, _ in
            guard let end = Int(end), (1...10).contains(end) else {
                throw RPCError(code: .invalidArgument, message: "count up to a number from 1 to 10")
            }
            for number in 1...end { try await responses.write("\(number)") }
        }
        try await withCompletionQueueGroup { group in
            try await withServer([greet, count], listeningOn: ["127.0.0.1:0"], group: group) { server in
                let channel = Channel(target: server.addresses[0], group: group)
                print(try await channel.unary(Greeter.greet, "Ann"))
                for try await number in try channel.serverStreaming(Greeter.count, "3") { print(number) }
            }
        }
    }
}
