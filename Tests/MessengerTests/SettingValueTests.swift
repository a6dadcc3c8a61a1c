import Logging
import Messenger
import Testing

@Suite struct SettingValueTests {
    @Test(arguments: [("0", 0), ("80", 80), ("65535", 65535), ("008080", 8080)] as [(String, UInt16)])
    func port(text: String, number: UInt16) {
        #expect(Port(settingText: text)?.number == number)
    }

    @Test(arguments: ["", "-1", "+80", "65536", "80 ", "0x50", "8080a", "http", "99999999999999999999", "８０"])
    func noPort(text: String) {
        #expect(Port(settingText: text) == nil)
    }

    @Test(
        arguments: [
            ("0s", .zero), ("10s", .seconds(10)), ("500ms", .milliseconds(500)), ("250us", .microseconds(250)),
            ("2m", .seconds(120)), ("1h", .seconds(3600)),
        ] as [(String, Duration)]
    )
    func duration(text: String, duration: Duration) {
        #expect(Duration(settingText: text) == duration)
        #expect(Duration(settingText: duration.settingText) == duration)
    }

    @Test(arguments: ["", "s", "10", "-1s", "1.5s", "1 s", "1S", "1d", "9223372036854775807h", "99999999999999999999s"])
    func noDuration(text: String) {
        #expect(Duration(settingText: text) == nil)
    }

    @Test(
        arguments: [(.zero, "0s"), (.seconds(90), "90s"), (.seconds(120), "2m"), (.milliseconds(1500), "1500ms")]
            as [(Duration, String)]
    )
    func durationIsShownInItsGreatestUnit(duration: Duration, text: String) {
        #expect(duration.settingText == text)
    }

    @Test(arguments: [
        ("0", 0), ("65536", 65536), ("12B", 12), ("64KiB", 65536), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648),
    ])
    func byteCount(text: String, bytes: Int) {
        let count = ByteCount(settingText: text)
        #expect(count?.bytes == bytes)
        #expect(count.flatMap { ByteCount(settingText: $0.settingText) } == count)
    }

    @Test(arguments: ["", "KiB", "-1", "1.5KiB", "64kb", "64 KiB", "9223372036854775807KiB", "9223372036854775808"])
    func noByteCount(text: String) {
        #expect(ByteCount(settingText: text) == nil)
    }

    @Test func byteCountIsShownInItsGreatestUnit() {
        #expect(ByteCount.mebibytes(64).settingText == "64MiB")
        #expect(ByteCount.kibibytes(1025).settingText == "1025KiB")
        #expect(ByteCount(bytes: 1000)?.settingText == "1000B")
        #expect(ByteCount(bytes: -1) == nil)
    }

    @Test func logLevelIgnoresCase() {
        #expect(Logger.Level(settingText: "Warning") == .warning)
        #expect(Logger.Level(settingText: "verbose") == nil)
    }
}
