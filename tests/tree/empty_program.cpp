// Linked with the whole archive of one library and nothing but what that library may use: an
// undefined symbol is a dependency that points upwards.
int main() {}
