import Dispatch
import Glibc
import Testing

/// Stands in for Redis: takes one connection, and answers whatever comes with the next line of its script.
struct ScriptedPeer {
    let port: UInt16
    private let firstRead = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - script: What it writes each time that it has read something; then it hangs up.
    ///   - expected: It hangs up at once if it reads something else; `nil` for anything.
    init(_ script: [String], expecting expected: String? = nil) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(listener >= 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        try #require(bound)
        port = UInt16(bigEndian: address.sin_port)
        DispatchQueue(label: "peer").async { [firstRead] in
            let connection = accept(listener, nil, nil)
            close(listener)
            var commands = [UInt8](repeating: 0, count: 1 << 16)
            for answer in script {
                let count = read(connection, &commands, commands.count)
                firstRead.signal()
                guard count > 0, expected.map({ $0.utf8.elementsEqual(commands.prefix(count)) }) ?? true else { break }
                _ = Array(answer.utf8).withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            }
            close(connection)
        }
    }

    /// Waits until something has come.
    func hasRead() async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                firstRead.wait()
                continuation.resume()
            }
        }
    }
}
