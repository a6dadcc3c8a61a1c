/// A file of tokens: on each line `NAME SHA256-HEX read|send|read,send [RATE/s]`. A `#` begins a comment.
struct TokensFile: Sendable {
    struct Entry: Sendable, Equatable {
        var name: String
        var digest: TokenDigest
        var rights: AccessRights
        var rate: MessageRate?
    }

    let entries: [Entry]

    static let maxSize = 1 << 20
    static let maxEntries = 10_000

    /// - Throws: An error that says what is wrong in which line. It quotes nothing: the file may be one of tokens
    ///   themselves.
    init(path: String) throws(InvalidSetting) {
        try self.init(parsing: try SecretFile.bytes(in: path, maxSize: Self.maxSize))
    }

    init(parsing bytes: [UInt8]) throws(InvalidSetting) {
        var entries: [Entry] = []
        var lines: [TokenDigest: Int] = [:]
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            do throws(InvalidSetting) {
                guard let entry = try Self.entry(line) else { continue }
                if let other = lines.updateValue(index + 1, forKey: entry.digest) {
                    throw InvalidSetting("the token of line \(other) is there again")
                }
                guard entries.count < Self.maxEntries else {
                    throw InvalidSetting("there are more than \(Self.maxEntries) tokens")
                }
                entries.append(entry)
            } catch {
                throw InvalidSetting("line \(index + 1): \(error)")
            }
        }
        self.entries = entries
    }

    /// `nil` for a line without a token.
    private static func entry(_ line: ArraySlice<UInt8>) throws(InvalidSetting) -> Entry? {
        let fields = line.prefix { $0 != UInt8(ascii: "#") }.split { " \t\r".utf8.contains($0) }
        guard !fields.isEmpty else { return nil }
        guard (3...4).contains(fields.count) else {
            throw InvalidSetting("expected NAME SHA256-HEX read|send|read,send [RATE/s]")
        }
        guard let name = TokenName(settingText: text(fields[0])) else {
            throw InvalidSetting("the name must be \(TokenName.form)")
        }
        guard let digest = TokenDigest(hex: fields[1]) else {
            throw InvalidSetting("the second word must be the token's SHA-256 in 64 hexadecimal digits")
        }
        guard let rights = AccessRights(settingText: text(fields[2])) else {
            throw InvalidSetting("the rights must be \(AccessRights.form)")
        }
        var entry = Entry(name: name.settingText, digest: digest, rights: rights)
        guard fields.count == 4 else { return entry }
        entry.rate = MessageRate(settingText: text(fields[3]))
        guard entry.rate != nil else { throw InvalidSetting("the rate must be \(MessageRate.form)") }
        return entry
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String { String(decoding: field, as: UTF8.self) }
}

/// Who holds a token, for the log.
public struct TokenName: SettingValue, Hashable {
    public let settingText: String

    public static var form: String { "1 to 64 letters, digits, dots, dashes and underscores" }

    public init?(settingText: String) {
        let isValid =
            (1...64).contains(settingText.utf8.count)
            && settingText.utf8.allSatisfy { byte in
                switch Unicode.Scalar(byte) {
                case "a"..."z", "A"..."Z", "0"..."9", ".", "-", "_": true
                default: false
                }
            }
        guard isValid else { return nil }
        self.settingText = settingText
    }
}
