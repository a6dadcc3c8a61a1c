import Messenger

/// Names of hosts, separated by commas.
struct HostNames: SettingValue, Hashable {
    let settingText: String
    private let names: Set<HostName>

    static var form: String { "names of hosts separated by commas" }

    static let none = HostNames(settingText: "", names: [])

    private init(settingText: String, names: Set<HostName>) {
        self.settingText = settingText
        self.names = names
    }

    init?(settingText: String) {
        var names: Set<HostName> = []
        for part in settingText.utf8.split(separator: UInt8(ascii: ",")) {
            let text = part.filter { $0 != UInt8(ascii: " ") }
            guard !text.contains(UInt8(ascii: ":")), let name = HostName(field: String(decoding: text, as: UTF8.self))
            else { return nil }
            names.insert(name)
        }
        self.init(settingText: settingText, names: names)
    }

    func contains(_ name: HostName) -> Bool { self.names.contains(name) }
}
