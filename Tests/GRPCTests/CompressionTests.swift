import GRPC
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CompressionTests {
    /// What a client sees of a response, and its server of the request, where both ask for compression.
    private func exchange(_ channelOptions: ChannelOptions) async throws -> (request: Bool, response: Bool) {
        let method = ServerMethod.unary(Echo.unary) { request, context in
            context.setCompression(.gzip)
            return ByteBuffer(String(repeating: context.requestWasCompressed ? "c" : "p", count: 5000))
        }
        var options = ServerOptions()
        options.acceptedCompression = [.gzip]
        var channelOptions = channelOptions
        channelOptions.compression = .gzip
        return try await Loopback.run([method], options: options, channelOptions: channelOptions) { loopback in
            let request = ByteBuffer(String(repeating: "x", count: 5000))
            let (response, wasCompressed) = try await loopback.channel.inspectedUnary(Echo.unary, request)
            return (response.text.hasPrefix("c"), wasCompressed)
        }
    }

    @Test func bothWays() async throws {
        let wasCompressed = try await exchange(ChannelOptions())
        #expect(wasCompressed == (true, true))
    }

    @Test func neitherWayOnAChannelThatAcceptsNone() async throws {
        var options = ChannelOptions()
        options.acceptedCompression = [.none]
        let wasCompressed = try await exchange(options)
        #expect(wasCompressed == (false, false))
    }

    @Test func whatACallAsksForOnAChannelThatAcceptsNoneIsNotSent() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            ByteBuffer(context.metadata.map(\.key).filter { $0.contains("encoding") }.joined(separator: ","))
        }
        var options = ChannelOptions()
        options.acceptedCompression = []
        try await Loopback.run([method], channelOptions: options) { loopback in
            let call = CallOptions(compression: .gzip)
            let keys = try await loopback.channel.unary(Echo.unary, ByteBuffer("hello"), options: call)
            #expect(keys.text == "")
        }
    }
}
