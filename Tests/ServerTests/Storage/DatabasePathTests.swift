import Glibc
import Messenger
import Testing

@testable import Server

@Suite struct DatabasePathTests {
    private let folder = TemporaryFolder()

    @Test(arguments: [
        ":memory:", "file:a.db", "File:a.db", "//a.db", "///a.db", "http://a/b", "x+y:a.db", "a.db?mode=memory",
        "a?b=1&vfs=c",
    ])
    func urisAreRefused(text: String) {
        let error = #expect(throws: StartError.self) { try DatabasePath(setting: text) }
        #expect(error?.code == .badConfiguration)
    }

    @Test(arguments: ["a?b.db", "a?mode.db", "a#b", "a%20b", "a:b", "1 a:b", "-", "e\u{301}"])
    func unusualNamesAreAccepted(name: String) throws {
        let path = try DatabasePath(setting: folder.path(of: name))
        #expect(path.file == folder.path(of: name))
        #expect(path.folder == folder.path)
    }

    /// `/` and the combining mark after it are one character, but separate bytes.
    @Test func aNameMayBeginWithACombiningMark() throws {
        let path = try DatabasePath(setting: folder.path + "/\u{338}a.db")
        #expect(path.folder == folder.path)
    }

    @Test func linksAreResolved() throws {
        let link = folder.path(of: "link")
        symlink("other", link)
        symlink("../\(folder.path.split(separator: "/").last ?? "")/history.db", folder.path(of: "other"))
        defer { for name in ["link", "other"] { unlink(folder.path(of: name)) } }
        #expect(try DatabasePath(setting: link).file == folder.path(of: "history.db"))
    }
}
