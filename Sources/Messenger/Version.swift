/// The version of both programs.
public enum Version {
    /// What `--version` says.
    public static let current = "0.1.0"
}
