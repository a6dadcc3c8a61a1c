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
        ("localhost:51075", "dns:///localhost:51075"), ("127.0.0.1:1", "dns:///127.0.0.1:1"),
        ("dns:51075", "dns:///dns:51075"), ("unix:51075", "dns:///unix:51075"), ("XDS:1", "dns:///XDS:1"),
        ("ipv4:1", "dns:///ipv4:1"), ("google-c2p:1", "dns:///google-c2p:1"), ("my_server:1", "dns:///my_server:1"),
        ("[::1]:51075", "dns:///%5B::1%5D:51075"), ("[fe80::1%eth0]:1", "dns:///%5Bfe80::1%25eth0%5D:1"),
        ("localhost.:1", "dns:///localhost:1"), ("LocalHost.:1", "dns:///localhost:1"),
        ("localhost.example.:1", "dns:///localhost.example.:1"), ("server.:1", "dns:///server.:1"),
    ])
    func isAHostWhateverItsName(text: String, target: String) {
        #expect(ServerAddress(settingText: text)?.target == target)
    }

    @Test(arguments: [
        "", ":", "localhost", "localhost:", ":51075", "localhost:0", "localhost:65536", "localhost:http", "::1:51075",
        "[::1]", "[]:1", "[localhost]:1", "[::x]:1", "http://localhost:51075", "local host:1", "localhost:51075/",
        "хост:1", "a\n:1",
    ])
    func refusesOtherTexts(text: String) {
        #expect(ServerAddress(settingText: text) == nil)
    }
}
