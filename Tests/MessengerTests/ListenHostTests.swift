import LibGRPC
import Messenger
import Testing

struct ListenHostTests {
    @Test(arguments: ["*", "localhost", "127.0.0.1", "::1", "::", "fe80::1%eth0", "chat-1.example.com"])
    func isAHost(text: String) {
        #expect(ListenHost(settingText: text)?.settingText == text)
    }

    @Test(arguments: [
        "", "**", "localhost:8080", "[localhost]", "[]", "::1]", "[::1", "1::2::3", "a b", "\u{e9}", "fe80::1%",
    ])
    func isNoHost(text: String) {
        #expect(ListenHost(settingText: text) == nil)
    }

    @Test func withAPort() {
        #expect(ListenHost(settingText: "[::1]")?.address(port: 8080) == "[::1]:8080")
        #expect(ListenHost(settingText: "localhost")?.address(port: 8080) == "localhost:8080")
        #expect(ListenHost.all.address(port: 8080) == "*:8080")
        #expect(ListenHost.all.target(port: 8080) == "dns:///127.0.0.1:8080")
        #expect(ListenHost(settingText: "fe80::1%eth0")?.target(port: 8080) == "dns:///[fe80::1%25eth0]:8080")
    }

    private func listen(_ host: ListenHost, _ port: Port) throws(StartError) -> [ListeningSocket] {
        try host.listen(port: port, hostVariable: "MESSENGER_HTTP_HOST", portVariable: "MESSENGER_HTTP_PORT")
    }

    @Test func bothFamiliesOnOnePort() throws {
        let sockets = try listen(.all, 0)
        defer { for socket in sockets { socket.close() } }
        #expect(sockets.map(\.address) == ["0.0.0.0:\(sockets[0].port)", "[::]:\(sockets[0].port)"])
    }

    /// A port that another program has in one family only.
    @Test(arguments: ["0.0.0.0", "127.0.0.1", "[::1]", "[::]"])
    func portThatIsTaken(address: String) throws {
        let other = try ListeningSocket.listen(on: "\(address):0")[0]
        defer { other.close() }
        let error = #expect(throws: StartError.self) { try listen(.all, Port(other.port)) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("MESSENGER_HTTP_PORT") == true)
        // The port is not held by what was refused.
        try ListeningSocket.listen(on: address.hasPrefix("[") ? "0.0.0.0:\(other.port)" : "[::]:\(other.port)")[0]
            .close()
    }

    @Test func addressOfAnotherMachine() throws {
        let elsewhere = try #require(ListenHost(settingText: "192.0.2.1"))
        let error = #expect(throws: StartError.self) { try listen(elsewhere, 0) }
        #expect(error?.message.contains("MESSENGER_HTTP_HOST") == true)
    }
}
