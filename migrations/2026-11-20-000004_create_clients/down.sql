DROP TABLE tokens;
DROP TABLE client_groups;
DROP TABLE clients;
