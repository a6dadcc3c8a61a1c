/// The path of a file, or none.
public struct FilePath: SettingValue, Hashable {
    /// The path as it was given; `nil` for no file. One that is called `none` is `./none`.
    public let path: String?

    /// No file.
    public static let none = FilePath(path: nil)

    private init(path: String?) {
        self.path = path
    }

    public static var form: String { "a path" }

    public init?(settingText: String) {
        guard !settingText.isEmpty else { return nil }
        self.init(path: settingText == "none" ? nil : settingText)
    }

    public var settingText: String { path ?? "none" }
}
