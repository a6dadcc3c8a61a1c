import LibGRPC
import Messenger

/// Which tokens the server's calls need: the one place that decides.
struct CallAccess: Sendable {
    let tokens: AccessTokens

    /// What a call's caller must be allowed to do.
    private enum Need {
        case nothing
        case right(AccessRights)
    }

    var interceptor: ServerInterceptor {
        ServerInterceptor(admit: { (context) throws(RPCError) in try admit(context) }) { try observe($0) }
    }

    /// - Parameter path: For a method that the server does not have, its client chose it.
    private static func need(_ path: String) -> Need {
        if path.hasBytes(of: MessengerMethods.sendMessage.path) { return .right(.send) }
        if path.hasBytes(of: MessengerMethods.readMessages.path) { return .right(.read) }
        // Load balancers have no token.
        if path.utf8.starts(with: "/grpc.health.v1.Health/".utf8) { return .nothing }
        return .right([])
    }

    private func admit(_ context: ServerContext) throws(RPCError) -> AccessGrant? {
        guard case .right(let right) = Self.need(context.path) else { return nil }
        do throws(AccessRefusal) {
            return try tokens.admit(context.metadataValues("authorization"), to: right)
        } catch {
            throw error.rpcError
        }
    }

    /// Ends a stream when its token is removed. A send is over soon.
    private func observe(_ context: ServerContext) throws(RPCError) -> CallObserver? {
        guard case .right(let right) = Self.need(context.path), right != .send,
            let grant = context.caller as? AccessGrant
        else { return nil }
        do throws(AccessRefusal) {
            let id = try grant.hold(right) { context.end(with: $0.rpcError) }
            return CallObserver { _, _ in grant.release(id) }
        } catch {
            throw error.rpcError
        }
    }
}
