import HTTPServing
import Messenger
import NIOHTTP1

/// Which tokens HTTP requests need: the one place that decides. Only routes that are open need none.
struct HTTPAccess: Sendable {
    let tokens: AccessTokens

    var admission: HTTPAdmission {
        HTTPAdmission { (head, path) throws(HTTPFailure) in
            // Events and messages are read, and so is whatever may come.
            let right: AccessRights = path.elementsEqual("/sendMessage".utf8) ? .send : .read
            do throws(AccessRefusal) {
                return Permit(
                    grant: try tokens.admit(head.headers["Authorization"].map { Array($0.utf8) }, to: right),
                    right: right
                )
            } catch {
                throw HTTPFailure(error)
            }
        }
    }

    private struct Permit: HTTPPermit {
        let grant: AccessGrant
        let right: AccessRights

        func whenWithdrawn(_ end: @escaping @Sendable () -> Void) -> (@Sendable () -> Void)? {
            guard let id = try? grant.hold(right, end: { _ in end() }) else { return nil }
            return { grant.release(id) }
        }
    }
}

extension HTTPFailure {
    fileprivate init(_ refusal: AccessRefusal) {
        switch refusal {
        case .noToken:
            self.init(.unauthorized, refusal.sentence, headers: ["WWW-Authenticate": "Bearer"])
        case .unknownToken:
            self.init(.unauthorized, refusal.sentence, headers: ["WWW-Authenticate": #"Bearer error="invalid_token""#])
        case .noRight:
            self.init(.forbidden, refusal.sentence)
        case .overRate(_, let wait):
            let seconds = max(1, Int((wait / .seconds(1)).rounded(.up)))
            self.init(.tooManyRequests, refusal.sentence, headers: ["Retry-After": "\(seconds)"])
        }
    }
}
