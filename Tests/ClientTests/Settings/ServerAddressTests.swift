import Testing

@testable import Client

@Suite struct ServerAddressTests {
    @Test(arguments: [
        "localhost:51075", "127.0.0.1:1", "server:65535", "my_server-1.example:80", "[::1]:51075", "[fe80::1%eth0]:1",
    ])
    func takesHostAndPort(text: String) {
        #expect(ServerAddress(settingText: text)?.description == text)
    }

    @Test(arguments: [
        "", ":", "localhost", "localhost:", ":51075", "localhost:0", "localhost:65536", "localhost:http", "::1:51075",
        "[::1]",
        "[]:1", "[localhost]:1", "http://localhost:51075", "local host:1", "localhost:51075/", "хост:1", "a\n:1",
    ])
    func refusesOtherTexts(text: String) {
        #expect(ServerAddress(settingText: text) == nil)
    }
}
