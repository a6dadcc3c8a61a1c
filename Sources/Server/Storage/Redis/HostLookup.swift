import Dispatch
import GRPC
import Glibc
import Redis
import Synchronization

/// The addresses behind a host's name, for those who cannot wait as long as a name server may take: where none answers,
/// `getaddrinfo` gives up after a minute.
///
/// Thread-safe. One lookup is under way at a time, on a thread of its own; whoever comes meanwhile waits for the same.
final class HostLookup: Sendable {
    typealias Resolve = @Sendable (_ name: String) throws(LookupError) -> [String]

    private final class Lookup: Sendable {
        private let result = Mutex<Result<[String], LookupError>?>(nil)
        /// Signalled once; who has waited for it passes it on.
        private let answered = DispatchSemaphore(value: 0)

        func end(_ result: Result<[String], LookupError>) {
            self.result.withLock { $0 = result }
            answered.signal()
        }

        /// Waits for the result; `nil` if it takes longer.
        func result(within patience: Duration) -> Result<[String], LookupError>? {
            let nanoseconds = Int(patience / .nanoseconds(1))
            guard answered.wait(timeout: .now() + .nanoseconds(nanoseconds)) == .success else { return nil }
            answered.signal()
            return result.withLock { $0 }
        }
    }

    private struct State {
        /// What the last lookup that found something has found.
        var known: [String] = []
        var underWay: Lookup?
    }

    private let name: String
    private let patience: Duration
    private let firstPatience: Duration
    private let resolve: Resolve
    private let state = Mutex(State())

    /// - Parameters:
    ///   - patience: How long to wait before the addresses that were found last are taken.
    ///   - firstPatience: How long where there are none.
    init(
        _ name: String,
        patience: Duration = .seconds(1),
        firstPatience: Duration = .seconds(5),
        resolve: @escaping Resolve = HostLookup.ask
    ) {
        self.name = name
        self.patience = patience
        self.firstPatience = firstPatience
        self.resolve = resolve
    }

    /// The addresses as they are now; where nobody can say it in time, as they were last.
    func addresses() throws(LookupError) -> [String] {
        let (lookup, known) = state.withLock { state in
            if state.underWay == nil { state.underWay = begin() }
            return (state.underWay, state.known)
        }
        switch lookup?.result(within: known.isEmpty ? firstPatience : patience) {
        case .success(let found): return found
        case .failure(let error) where known.isEmpty || !error.isTemporary: throw error
        case nil where known.isEmpty: throw .noAnswer(name)
        case .failure, nil: return known
        }
    }

    /// `nil` if the system has no thread for it.
    private func begin() -> Lookup? {
        let lookup = Lookup()
        do {
            try Thread.start(named: "history-lookup") { [self] in
                do throws(LookupError) {
                    end(lookup, .success(try resolve(name)))
                } catch {
                    end(lookup, .failure(error))
                }
            }
        } catch {
            return nil
        }
        return lookup
    }

    private func end(_ lookup: Lookup, _ result: Result<[String], LookupError>) {
        state.withLock { state in
            state.underWay = nil
            if case .success(let found) = result { state.known = found }
        }
        lookup.end(result)
    }
}

/// Why a host's addresses are not known.
struct LookupError: Error, CustomStringConvertible {
    let description: String
    /// Whether it says nothing about the name.
    let isTemporary: Bool

    static func noAnswer(_ name: String) -> LookupError {
        LookupError(description: "no name server has told the address of \(name)", isTemporary: true)
    }
}

extension HostLookup {
    /// Asks the system, as long as that takes: for addresses of IPv6 only where there are none of IPv4, as hiredis does. Where
    /// a network drops IPv6 every connection would wait for that first.
    static func ask(_ name: String) throws(LookupError) -> [String] {
        do throws(LookupError) {
            return try ask(name, AF_INET)
        } catch {
            guard !error.isTemporary else { throw error }
            return try ask(name, AF_INET6)
        }
    }

    private static func ask(_ name: String, _ family: Int32) throws(LookupError) -> [String] {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard code == 0 else {
            let isTemporary = code == EAI_AGAIN || code == EAI_SYSTEM || code == EAI_MEMORY
            throw LookupError(description: "\(name): \(String(cString: gai_strerror(code)))", isTemporary: isTemporary)
        }
        return sequence(first: first, next: { $0?.pointee.ai_next }).compactMap { $0.flatMap(numeric) }
    }

    private static func numeric(_ address: UnsafeMutablePointer<addrinfo>) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { text -> String? in
            let (address, length) = (address.pointee.ai_addr, address.pointee.ai_addrlen)
            guard let start = text.baseAddress,
                getnameinfo(address, length, start, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { return nil }
            return String(cString: start)
        }
    }
}
