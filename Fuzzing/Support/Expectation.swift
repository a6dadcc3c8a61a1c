/// Ends the run with the sentence, which the fuzzer reports with the input that did it.
func expect(_ condition: Bool, _ sentence: @autoclosure () -> String) {
    if !condition { fatalError(sentence()) }
}

/// Copies the fuzzer's input.
func input(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: start, count: count))
}

extension Optional {
    /// What the body returns; `nil` where it throws.
    init(trying body: () throws -> Wrapped) {
        do { self = try body() } catch { self = nil }
    }
}
