internal import Glibc

/// How many file descriptors the process may have.
enum DescriptorLimit {
    /// What connections never take: event loops, files, a database, name lookups and connections that the program itself
    /// makes need some too. Half of them where there are few.
    private static var reserve: Int { 128 + 6 * max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// How many connections may be open.
    static var connections: Int {
        let all = current
        return max(1, all - min(reserve, all / 2))
    }

    private static var current: Int {
        var limit = rlimit()
        let result = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return result == 0 ? Int(clamping: limit.rlim_cur) : 1024
    }
}
