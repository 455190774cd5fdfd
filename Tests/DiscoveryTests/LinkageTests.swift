import Glibc
import Testing

@testable import Discovery

@Suite struct LinkageTests {
    /// Both of Avahi's libraries define some names alike, and one that calls the other's crashes. `LinkTests` runs both
    /// in one process.
    @Test("the embedded library's names are hidden, and those they share are the client library's")
    func scopes() throws {
        // RTLD_DEFAULT
        #expect(dlsym(nil, "avahi_server_new") == nil)
        let client = try #require(dlopen("libavahi-client.so.3", RTLD_NOLOAD | RTLD_NOW))
        defer { dlclose(client) }
        let name = "avahi_entry_group_free"
        let theirs: UnsafeMutableRawPointer? = dlsym(client, name)
        #expect(theirs != nil && theirs == dlsym(nil, name))
    }
}
