DROP TABLE messages;
DROP TABLE conversation_members;
DROP TABLE conversations;
DROP TABLE stages;
DROP TABLE project_members;
DROP TABLE projects;
