import LibGRPC

/// A message. Here it is plain text; a protobuf message would wrap its generated C struct.
struct Line: WireMessage {
    var text: String
    init(_ text: String) { self.text = text }
    init(decoding buffer: ByteBuffer) {
        text = buffer.withBytes { bytes in bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    }
    func encoded() -> ByteBuffer { ByteBuffer(text.utf8) }
}

/// The service's methods, as both sides know them.
enum Greeter {
    static let greet = MethodDescriptor<Line, Line>(service: "hello.Greeter", method: "Greet")
    static let countDown = MethodDescriptor<Line, Line>(service: "hello.Greeter", method: "CountDown")
}

@main
struct FirstService {
    static func main() async throws {
        let group = try CompletionQueueGroup()
        let greet = ServerMethod.unary(Greeter.greet) { name, _ in Line("Hello, \(name.text)!") }
        let countDown = ServerMethod.serverStreaming(Greeter.countDown) { start, responses, _ in
            guard let start = Int(start.text), (1...10).contains(start) else {
                throw RPCError(code: .invalidArgument, message: "count down from 1 to 10")
            }
            for number in (1...start).reversed() { try await responses.write(Line("\(number)")) }
        }
        let server = try Server(methods: [greet, countDown], group: group)
        let port = try await server.start(listeningOn: ["127.0.0.1:0"])[0]

        let channel = Channel(target: "127.0.0.1:\(port)", group: group)
        print(try await channel.unary(Greeter.greet, Line("Ann")).text)
        for try await line in try channel.serverStreaming(Greeter.countDown, Line("3")) { print(line.text) }

        await server.shutDown(gracePeriod: .seconds(1))
        await group.shutDown()
    }
}
